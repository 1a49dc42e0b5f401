export {
  type AccountHooks,
  type FunctionCollection,
  type FunctionContext,
  type FunctionIdentity,
  FunctionRefusal,
  type MailFlowDecision,
  type MailFlowRequest,
  type UserFunction,
} from './accounts/account-hooks.ts'
export { ConfigProblem, type Hooks, type ServerConfig } from './config.ts'
export { DirectoryInUse } from './database/directory-lock.ts'
export { jsonLog, type Log } from './log.ts'
export { type RunningServer, type ServerOptions, startServer } from './start-server.ts'
export type { CollectionHooks, DocumentWrite, WriteRefusal } from './sync/collections.ts'
export type { Lifetimes } from './tokens/lifetimes.ts'
export { KeyFileProblem } from './tokens/server-keys.ts'
