import { graphql } from "relay-runtime";

export const name = graphql`
  fragment people_name on User {
    name
  }
`;

export const query = graphql`
  query peopleMembershipsQuery($first: Int!, $after: String) {
    me {
      id
      ...people_name
      memberships(first: $first, after: $after) @connection(key: "People_memberships") {
        edges {
          node {
            role
            organization {
              name
            }
          }
        }
      }
    }
  }
`;

export const rename = graphql`
  mutation peopleRenameMutation($input: UpdateProfileInput!) {
    updateProfile(input: $input) {
      id
      version
      ...people_name
    }
  }
`;
