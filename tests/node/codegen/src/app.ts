import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { graphql, useFragment } from "./gql";

const Name = graphql(`
  fragment Name on User {
    name
  }
`);

const Dashboard = graphql(`
  query Dashboard($first: Int!) {
    me {
      id
      ...Name
      memberships(first: $first) {
        edges {
          node {
            role
            organization {
              name
              creditBalance {
                amount
              }
            }
          }
        }
      }
      files {
        edges {
          node {
            sizeBytes
            owner {
              __typename
              ... on User {
                email
              }
            }
          }
        }
      }
    }
  }
`);

const Invoice = graphql(`
  subscription InvoiceUpdated($organizationId: ID!) {
    invoiceUpdated(organizationId: $organizationId) {
      status
    }
  }
`);

declare function ask<Data, Variables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data>;

export async function show(): Promise<string[]> {
  const { me } = await ask(Dashboard, { first: 2 });
  if (me === null || me === undefined) return [];
  const role: "OWNER" | "ADMIN" | "BILLING" | "MEMBER" | undefined = me.memberships.edges[0]?.node.role;
  const size: number | undefined = me.files?.edges[0]?.node.sizeBytes;
  // @ts-expect-error - a variable that is missing is an error
  await ask(Dashboard, {});
  // @ts-expect-error - a fragment's fields are its own
  void me.name;
  const { invoiceUpdated } = await ask(Invoice, { organizationId: "1" });
  return [useFragment(Name, me).name, String(role), String(size), invoiceUpdated.status];
}
