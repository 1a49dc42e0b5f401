import type { Database } from './schema.ts'

export interface OpenDatabase {
  readonly db: Database
  close(): Promise<void>
}
