import { pathToFileURL } from 'node:url'
import { ConfigProblem } from '../config.ts'
import type { AccountHooks } from './account-hooks.ts'

/** Loads the module at an absolute path. @throws {ConfigProblem} */
export async function loadAccountHooks(path: string | undefined): Promise<AccountHooks> {
  if (path === undefined) return {}
  let module: unknown
  try {
    module = await import(pathToFileURL(path).href)
  } catch (cause) {
    throw new ConfigProblem(`accounts.hooks: ${path} cannot be loaded.`, { cause })
  }
  const hooks = typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined
  if (typeof hooks !== 'object' || hooks === null) throw new ConfigProblem(`accounts.hooks: ${path} does not default-export an object.`)
  return hooks
}
