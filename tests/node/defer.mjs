// Runs one query whose deferred fragments are taken as they come: `client, address, query`.
// Prints every state of the result that a component would be given, each on a line.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { Defer20220824Handler, GraphQL17Alpha9Handler } from "@apollo/client/incremental";
import { Client, fetchExchange } from "@urql/core";

const [kind, address, query] = process.argv.slice(2);
const show = (complete, data, error) => console.log(JSON.stringify({ complete, data, error: error?.message }));

const apollo = (incrementalHandler) => {
  const client = new ApolloClient({
    link: new HttpLink({ uri: address }),
    cache: new InMemoryCache(),
    incrementalHandler,
  });
  client.watchQuery({ query: gql(query), fetchPolicy: "network-only", errorPolicy: "all" }).subscribe({
    next: ({ data, loading, dataState, error }) => {
      if (data) show(!loading && dataState !== "streaming", data, error);
      if (!loading && dataState !== "streaming") client.stop();
    },
  });
};

const urql = () => {
  const client = new Client({ url: address, exchanges: [fetchExchange], preferGetMethod: false });
  client.query(query, {}).subscribe(({ data, error, hasNext }) => show(!hasNext, data, error));
};

const clients = {
  "apollo-20220824": () => apollo(new Defer20220824Handler()),
  "apollo-v0.2": () => apollo(new GraphQL17Alpha9Handler()),
  urql,
};
clients[kind]();
