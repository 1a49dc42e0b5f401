import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { type AccountsConfig, accountsConfig } from './accounts/accounts-config.ts'
import type { JsonObject } from './database/schema.ts'
import {
  type Collection,
  type CollectionHooks,
  type Collections,
  collectionConfig,
  collectionName,
  schemaCheck,
} from './sync/collections.ts'
import type { Seed } from './sync/seed.ts'

const serverConfig = z.strictObject({
  collections: z.record(collectionName, collectionConfig).default({}),
  accounts: accountsConfig.prefault({}),
  /** Settings of the command; see `settings.ts`. */
  server: z.record(z.string(), z.unknown()).optional(),
})

/** The configuration file. */
export type ServerConfig = z.input<typeof serverConfig>

/** By collection. */
export type Hooks = Readonly<Record<string, CollectionHooks>>

export interface LoadedConfig {
  readonly collections: Collections
  readonly seeds: readonly Seed[]
  readonly accounts: AccountsConfig
}

export class ConfigProblem extends Error {
  override readonly name = 'ConfigProblem'
}

/**
 * Checks a configuration, or the JSON file at a path. Paths inside are relative to that file.
 *
 * @throws {ConfigProblem} naming the key that is wrong
 */
export function loadConfig(config: ServerConfig | string, hooks: Hooks = {}): LoadedConfig {
  const fromFile = typeof config === 'string'
  const parsed = serverConfig.safeParse(fromFile ? readJsonFile(config) : config)
  if (!parsed.success) throw new ConfigProblem(`The configuration is not valid:\n${z.prettifyError(parsed.error)}`)
  const folder = fromFile ? dirname(resolve(config)) : process.cwd()
  const unknown = Object.keys(hooks).find((name) => !(name in parsed.data.collections))
  if (unknown !== undefined) throw new ConfigProblem(`There are hooks for "${unknown}", which is not a collection.`)

  const seeds: Seed[] = []
  const collections = new Map<string, Collection>()
  for (const [name, { schema, seed, ...settings }] of Object.entries(parsed.data.collections)) {
    const jsonSchema = typeof schema === 'string' ? readJsonFile(resolve(folder, schema)) : schema
    const collection = { name, ...settings, hooks: hooks[name] ?? {}, schemaProblem: compile(name, jsonSchema) }
    collections.set(name, collection)
    if (seed !== undefined) seeds.push({ collection, path: resolve(folder, seed) })
  }
  const { accounts } = parsed.data
  const hooksFile = accounts.hooks === undefined ? {} : { hooks: resolve(folder, accounts.hooks) }
  return { collections, seeds, accounts: { ...accounts, ...hooksFile } }
}

function compile(name: string, schema: unknown) {
  const object = z.record(z.string(), z.unknown()).optional().safeParse(schema)
  try {
    return schemaCheck(object.data satisfies JsonObject | undefined)
  } catch (cause) {
    throw new ConfigProblem(`collections.${name}.schema is not a JSON schema.`, { cause })
  }
}

function readJsonFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new ConfigProblem(`The file ${path} cannot be read as JSON.`, { cause })
  }
}
