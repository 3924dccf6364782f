// Runs operations with urql's core client over HTTP alone: `address, [request, …]`.
// A subscription goes over server-sent events.  Prints, per request, its results or its error.
import { Client, fetchExchange } from "@urql/core";

const [url, requests] = process.argv.slice(2);
const client = new Client({ url, exchanges: [fetchExchange], fetchSubscriptions: true, preferGetMethod: false });
const run = ({ query, variables }) =>
  new Promise((resolve) => {
    const results = [];
    const kind = query.trim().split(/[^a-z]/)[0];
    const source =
      kind === "subscription"
        ? client.subscription(query, variables ?? {})
        : kind === "mutation"
          ? client.mutation(query, variables ?? {})
          : client.query(query, variables ?? {});
    const { unsubscribe } = source.subscribe(({ data, error, hasNext }) => {
      if (error) return resolve({ error: error.message });
      if (data) results.push(data);
      if (kind !== "subscription" || results.length === 2) {
        resolve({ results });
        setTimeout(() => unsubscribe());
      }
    });
  });
console.log(JSON.stringify(await Promise.all(JSON.parse(requests).map(run))));
process.exit(0);
