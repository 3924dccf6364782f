// Runs one query with Apollo Client, deferred fragments taken as they come: `address, query`.
// Prints every state of the result that a component would be given.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { Defer20220824Handler } from "@apollo/client/incremental";

const [uri, query] = process.argv.slice(2);
const client = new ApolloClient({
  link: new HttpLink({ uri }),
  cache: new InMemoryCache(),
  incrementalHandler: new Defer20220824Handler(),
});
const states = [];
await new Promise((resolve, reject) => {
  client.watchQuery({ query: gql(query), fetchPolicy: "network-only" }).subscribe({
    next: ({ data, dataState, error }) => {
      if (error) return reject(error);
      if (data) states.push({ dataState, data });
      if (dataState === "complete") resolve();
    },
    error: reject,
  });
});
console.log(JSON.stringify(states));
client.stop();
