"""Three ordinary Strawberry subgraphs over data in memory, for every gateway alike."""
