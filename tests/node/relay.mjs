// Runs the compiled operations of a Relay project: `project, address, headers`.
// Only their ids are sent.  Prints the list page by page and a changed name.
import { pathToFileURL } from "node:url";
import relay from "relay-runtime";

const { Environment, Network, RecordSource, Store, createOperationDescriptor, fetchQuery } = relay;
const { commitMutation, getSingularSelector } = relay;
const [project, address, headers] = process.argv.slice(2);
const compiled = async (name) =>
  (await import(pathToFileURL(`${project}/src/__generated__/${name}.graphql.js`))).default;

const sent = [];
const environment = new Environment({
  store: new Store(new RecordSource()),
  network: Network.create(async ({ id, text }, variables) => {
    sent.push({ id, text });
    const response = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json", ...JSON.parse(headers) },
      body: JSON.stringify({ documentId: id, variables }),
    });
    return response.json();
  }),
});

const query = await compiled("peopleMembershipsQuery");
const first = createOperationDescriptor(query, { first: 2 });
environment.retain(first);
const seen = () => {
  const { me } = environment.lookup(first.fragment).data;
  const names = me.memberships.edges.map(({ node }) => node.organization.name);
  return { names, hasNextPage: me.memberships.pageInfo.hasNextPage };
};
const pages = [];
await fetchQuery(environment, query, { first: 2 }).toPromise();
pages.push(seen());
const { endCursor } = environment.lookup(first.fragment).data.me.memberships.pageInfo;
await fetchQuery(environment, query, { first: 2, after: endCursor }).toPromise();
pages.push(seen());

const mutation = await compiled("peopleRenameMutation");
await new Promise((resolve, reject) =>
  commitMutation(environment, {
    mutation,
    variables: { input: { version: 1, name: "Ada Lovelace" } },
    onCompleted: (_, errors) => (errors ? reject(new Error(JSON.stringify(errors))) : resolve()),
    onError: reject,
  }),
);
const name = await compiled("people_name");
const { me } = environment.lookup(first.fragment).data;
const renamed = environment.lookup(getSingularSelector(name, me)).data.name;
console.log(JSON.stringify({ pages, renamed, sent }));
