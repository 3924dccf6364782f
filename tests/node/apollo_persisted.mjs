// Asks one query with each of two Apollo Clients that name documents by their hash: `address, query`.
// Prints what they got, and for each request its method and what it held.
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";

const [uri, query] = process.argv.slice(2);
const requests = [];
const watched = (address, options) => {
  const { method, body } = options;
  const sent = method === "GET" ? Object.fromEntries(new URL(address).searchParams) : JSON.parse(body);
  const extensions = method === "GET" ? JSON.parse(sent.extensions) : sent.extensions;
  requests.push([method, ...("query" in sent ? ["text"] : []), ...("persistedQuery" in extensions ? ["hash"] : [])]);
  return fetch(address, options);
};
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const answers = [];
for (let count = 0; count < 2; count++) {
  const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries: true });
  const link = ApolloLink.from([persisted, new HttpLink({ uri, fetch: watched })]);
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  for (let time = 0; time < 2; time++)
    answers.push((await client.query({ query: gql(query), fetchPolicy: "network-only" })).data);
  client.stop();
}
console.log(JSON.stringify({ answers, requests }));
