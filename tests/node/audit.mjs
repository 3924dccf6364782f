// Prints the results of graphql-http's audit: `address, [{header: value}]`.
import { auditServer } from "graphql-http";

const [url, headers] = process.argv.slice(2);
const fetchFn = (input, init) =>
  fetch(input, { ...init, headers: { ...init?.headers, ...JSON.parse(headers ?? "{}") } });
const results = await auditServer({ url, fetchFn });
console.log(
  JSON.stringify(
    results.map(({ id, name, status, reason }) => ({ id, name, status, reason })),
  ),
);
