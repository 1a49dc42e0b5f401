import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { type Collections, collectionConfig, collectionName, toCollections } from './sync/collections.ts'

const serverConfig = z.strictObject({
  collections: z.record(collectionName, collectionConfig).default({}),
})

/** The configuration file. */
export type ServerConfig = z.input<typeof serverConfig>

export class ConfigProblem extends Error {
  override readonly name = 'ConfigProblem'
}

/**
 * Checks a configuration, or the JSON file at a path.
 *
 * @throws {ConfigProblem} naming the key that is wrong
 */
export function loadConfig(config: ServerConfig | string): { readonly collections: Collections; readonly baseDirectory: string } {
  const fromFile = typeof config === 'string'
  const parsed = serverConfig.safeParse(fromFile ? readJsonFile(config) : config)
  if (!parsed.success) throw new ConfigProblem(`The configuration is not valid:\n${z.prettifyError(parsed.error)}`)
  return {
    collections: toCollections(parsed.data.collections),
    baseDirectory: fromFile ? dirname(resolve(config)) : process.cwd(),
  }
}

function readJsonFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new ConfigProblem(`The configuration file ${path} cannot be read as JSON.`, { cause })
  }
}
