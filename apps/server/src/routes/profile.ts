import { z } from 'zod'
import { answer, route } from '../http/route.ts'
import { authorize } from '../tokens/bearer.ts'

const jsonObject = z.record(z.string(), z.unknown())

export const profileRoute = route({
  method: 'GET',
  path: '/v1/auth/profile',
  summary: 'Who the caller is',
  bearer: true,
  noStore: true,
  answers: {
    200: z.object({
      user_id: z.string(),
      identities: z.array(z.object({ id: z.string(), provider: z.string() })),
      profile: jsonObject,
      custom_data: jsonObject,
    }),
  },
  async handle({ claims }, services) {
    return services.db.transaction().execute(async (tx) => {
      const { userId } = await authorize(tx, services, claims)
      const user = await tx.selectFrom('users').select(['profile', 'custom_data']).where('id', '=', userId).executeTakeFirstOrThrow()
      const identities = await tx.selectFrom('identities').select(['id', 'provider']).where('user_id', '=', userId).orderBy('id').execute()
      return answer(200, { user_id: userId, identities, ...user })
    })
  },
})
