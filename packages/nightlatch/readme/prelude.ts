/** What the README's examples take for granted: the app around them. */
import type { RxJsonSchema } from 'rxdb/plugins/core'

export interface Note {
  id: string
  text: string
}

export const noteSchema: RxJsonSchema<Note> = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 40 }, text: { type: 'string' } },
  required: ['id', 'text'],
}

export const email = 'newcomer@example.org'
export const password = 'correct horse battery'

export const router = { visited: [] as unknown[], go: (path: string, details: unknown) => void router.visited.push({ path, details }) }
export const badge = { shown: [] as number[], show: (count: number) => void badge.shown.push(count) }
export const signOut: { onclick: () => Promise<unknown> } = { onclick: () => Promise.reject(new Error('The example has not run.')) }
