import { z } from 'zod'
import type { Database, Tx } from '../database/schema.ts'

const jsonObject = z.record(z.string(), z.unknown())

/** Who somebody is, as clients keep it. */
export const whoamiShape = z.object({
  user_id: z.string(),
  identities: z.array(z.object({ id: z.string(), provider: z.string() })),
  profile: jsonObject,
  custom_data: jsonObject,
})

export async function whoami(tx: Database | Tx, userId: string): Promise<z.output<typeof whoamiShape>> {
  const user = await tx.selectFrom('users').select(['profile', 'custom_data']).where('id', '=', userId).executeTakeFirstOrThrow()
  const identities = await tx.selectFrom('identities').select(['id', 'provider']).where('user_id', '=', userId).orderBy('id').execute()
  return { user_id: userId, identities, ...user }
}
