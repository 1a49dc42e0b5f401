import { z } from 'zod'

/** The collections part of the configuration file. */
export const collectionConfig = z
  .strictObject({
    schemaVersion: z.int().min(0),
    scope: z
      .string()
      .regex(/^(mine|public)$/, { error: 'must be "mine" or "public"' })
      .default('mine'),
    /** Whether clients may push. */
    write: z.boolean().default(true),
    /** A JSON array of documents with primary key `id`, loaded once at the first start. Relative to the configuration file. */
    seed: z.string().optional(),
  })
  .refine(({ seed, scope }) => seed === undefined || scope === 'public', { error: 'a "seed" needs "scope": "public"', path: ['seed'] })

export const collectionName = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/)

export type CollectionConfig = z.output<typeof collectionConfig>

export interface Collection extends CollectionConfig {
  readonly name: string
}

export type Collections = ReadonlyMap<string, Collection>

export function toCollections(configs: Readonly<Record<string, CollectionConfig>>): Collections {
  return new Map(Object.entries(configs).map(([name, config]) => [name, { name, ...config }]))
}
