"""How a GraphQL request arrives and its answer leaves: HTTP, WebSocket, SSE, multipart.

Every module speaks one published protocol and hands the work to a
`GraphQLService`; the gateway and every subgraph serve through the same code.
"""
