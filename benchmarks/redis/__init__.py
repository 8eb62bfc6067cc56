"""The store on a server beside the bare server and the caches of redisvl and langchain-redis."""
