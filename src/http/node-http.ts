// Node's own HTTP, taken without `import`: an ES module that imports node:http reads all its exports, and one of them
// (WebSocket) makes Node load its whole fetch, which is 13 MB of an idle server.

/** The module node:http. */
export const nodeHttp = process.getBuiltinModule('node:http')
