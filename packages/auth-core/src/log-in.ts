import { type AppContext, askBackend, askForApp } from './app-context.ts'
import type { Credentials, ProviderName } from './credentials.ts'
import { AuthError } from './errors.ts'
import { given } from './given.ts'
import type { Challenge, Grant, ProfileAnswer, UserRecordDraft } from './ports.ts'
import { randomId } from './random-id.ts'
import { withRevocation } from './revocation-outbox.ts'
import { type Session, sessionAfter } from './session.ts'
import { type DeviceRecord, type UserKey, type UserRecord, type VaultContents, withoutIntent } from './user-record.ts'

/** Asks the server. Nothing is stored yet. @throws {AuthError} */
export async function requestGrant(context: AppContext, credentials: Credentials, signal: AbortSignal | undefined): Promise<Grant> {
  const idempotencyKey = randomId(context.world.random)
  const answer = await askForApp(context, 'log in', (ask) => context.backend.logIn(credentials, { ...ask, idempotencyKey }), signal)
  if (isChallenge(answer)) throw new AuthError('not-supported', 'The server asks for a second step, which this version cannot answer.')
  return answer
}

function isChallenge(answer: Grant | Challenge): answer is Challenge {
  return 'challenge' in answer
}

/**
 * Stores what the server granted, in the record the user has or else under `newKey`: the user's record, then the device record that makes it current (the commit point). A crash between the two
 * leaves a record with an epoch the device never reached, which the next start takes back (S6). The revocation of the session it replaced is queued with the commit.
 *
 * @param mayCommit a last look at the device record; the log-in is taken back if it says no
 * @throws {AuthError} `conflict` if it said no
 */
export async function storeLogIn(
  context: AppContext,
  newKey: UserKey,
  grant: Grant,
  credentials: Credentials,
  mayCommit: (device: DeviceRecord) => boolean,
): Promise<UserRecord> {
  const { directory, serverClock, world } = context
  if (grant.serverOffsetMs !== undefined) serverClock.learn(grant.serverOffsetMs)
  const session = sessionAfter(grant, serverClock.nowMs())
  const idTag = await directory.tag('user-id', grant.userId)
  const tags =
    credentials.provider === 'email-password' ? [idTag, await directory.tag('login', normalizedLogin(credentials.email))] : [idTag]

  const known = await directory.findByTag(idTag)
  const key = known?.key ?? newKey
  const { epoch: deviceEpoch } = await directory.rereadDevice()
  const vaultAfter = (before: VaultContents | undefined): VaultContents => contentsAfter(grant, session, credentials.provider, before)

  let replaced: string | undefined
  const again = await directory.updateUser(key, (record) => {
    const before = record.vault.kind === 'open' ? record.vault.contents : undefined
    replaced = record.revokeHandle
    return {
      ...withoutIntent(record),
      epoch: Math.max(deviceEpoch, record.epoch) + 1,
      generation: 1,
      status: { kind: 'signed-in' },
      tags: [...new Set([...record.tags, ...tags])],
      vault: { kind: 'open', contents: vaultAfter(before) },
      ...given('revokeHandle', grant.revokeHandle),
    }
  })
  const record =
    again ??
    (await directory.createUser({
      key,
      epoch: deviceEpoch + 1,
      generation: 1,
      status: { kind: 'signed-in' },
      tags,
      incarnation: randomId(world.random),
      vault: { kind: 'open', contents: vaultAfter(undefined) },
      ...given('revokeHandle', grant.revokeHandle),
      ...given('label', labelOf(grant, credentials)),
    } satisfies UserRecordDraft))

  const isShared = credentials.provider === 'anonymous' && credentials.reuse
  const { currentUser } = await directory.updateDevice((device) =>
    mayCommit(device)
      ? {
          ...device,
          epoch: Math.max(device.epoch, record.epoch),
          currentUser: key,
          ...(isShared && { anonymous: key }),
          ...(replaced !== undefined && replaced !== grant.revokeHandle && { outbox: withRevocation(device.outbox, replaced, context) }),
        }
      : null,
  )
  if (currentUser === key) return record
  await directory.removeUser(key, ({ revision }) => revision === record.revision)
  throw new AuthError('conflict', 'Another tab logged in at the same moment. Try again.')
}

function contentsAfter(grant: Grant, session: Session, provider: ProviderName, before: VaultContents | undefined): VaultContents {
  return {
    userId: grant.userId,
    session,
    identities: grant.identities ?? before?.identities ?? [{ id: grant.userId, provider }],
    profile: grant.profile ?? before?.profile ?? {},
    customData: grant.customData ?? before?.customData ?? {},
    ...given('deviceId', grant.deviceId ?? before?.deviceId),
    ...given('serverOffsetMs', grant.serverOffsetMs ?? before?.serverOffsetMs),
  }
}

/** Asks who the user is and stores the answer; a failure is nobody's failure, the profile just stays as it was (S6). */
export async function readProfile(context: AppContext, key: UserKey, accessToken: string, signal?: AbortSignal): Promise<void> {
  const { backend } = context
  if (!backend.profile) return
  const answer = await askBackend(context, async (ask) => backend.profile?.({ ...ask, accessToken }), signal)
  if (answer) await storeProfile(context, key, answer)
}

export async function storeProfile({ directory, serverClock }: AppContext, key: UserKey, answer: ProfileAnswer): Promise<void> {
  await directory.updateUser(key, (record) => {
    if (record.status.kind === 'logged-out' || record.vault.kind !== 'open' || record.vault.contents.userId !== answer.userId) return null
    const { identities, profile, customData } = answer
    const contents = { ...record.vault.contents, identities, profile, customData, profileReadAtMs: serverClock.nowMs() }
    return { ...record, vault: { kind: 'open', contents } }
  })
}

/** What a chooser of accounts may show; a store keeps it only where the app asked for labels. */
function labelOf(grant: Grant, credentials: Credentials): string | undefined {
  return credentials.provider === 'email-password' ? credentials.email : grant.profile?.email
}

/** Two spellings of one e-mail address find the same user. */
export function normalizedLogin(email: string): string {
  return email.normalize('NFKC').trim().toLowerCase()
}
