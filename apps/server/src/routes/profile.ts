import { whoami, whoamiShape } from '../accounts/whoami.ts'
import { answer, route } from '../http/route.ts'
import { authorize } from '../tokens/bearer.ts'

export const profileRoute = route({
  method: 'GET',
  path: '/v1/auth/profile',
  summary: 'Who the caller is',
  bearer: true,
  noStore: true,
  answers: { 200: whoamiShape },
  async handle({ claims }, services) {
    return services.db.transaction().execute(async (tx) => {
      const { userId } = await authorize(tx, services, claims)
      return answer(200, await whoami(tx, userId))
    })
  },
})
