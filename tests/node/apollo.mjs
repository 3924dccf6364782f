// Runs operations with Apollo Client over HTTP alone: `address, [request, …]`.
// A subscription goes over multipart.  Prints, per request, its results or its error.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client/core";

const [uri, requests] = process.argv.slice(2);
const client = new ApolloClient({ link: new HttpLink({ uri }), cache: new InMemoryCache() });
const run = async ({ query, variables }) => {
  const document = gql(query);
  const { operation } = document.definitions[0];
  try {
    if (operation === "query") return { results: [(await client.query({ query: document, variables })).data] };
    if (operation === "mutation") return { results: [(await client.mutate({ mutation: document, variables })).data] };
    const results = [];
    await new Promise((resolve, reject) =>
      client.subscribe({ query: document, variables }).subscribe({
        next: ({ data, error }) => (error ? reject(error) : results.push(data)),
        error: reject,
        complete: resolve,
      }),
    );
    return { results };
  } catch (error) {
    return { error: error.message };
  }
};
console.log(JSON.stringify(await Promise.all(JSON.parse(requests).map(run))));
client.stop();
