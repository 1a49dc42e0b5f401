import { describe, expect, test } from 'vitest'
import { type AuthEvent, type AuthState, currentUserOf, type LockedState, nextAuthState } from './auth-state.ts'
import type { UserKey } from './user-record.ts'

const lockedUser = { key: 'key-ann' as UserKey }
const locked: LockedState = { kind: 'locked', user: lockedUser, why: 'idle', methods: ['pin'], session: { kind: 'kept' } }
const overLocked: LockedState = { ...locked, session: { kind: 'over', reason: 'expired' } }

type User = 'ann' | 'bob'
type State = AuthState<User>
type Event = AuthEvent<User>

const states = {
  restoring: { kind: 'restoring' },
  unavailable: { kind: 'unavailable', reason: 'storage-blocked' },
  'signed-out': { kind: 'signed-out' },
  locked,
  'signed-in': { kind: 'signed-in', user: 'ann', access: 'offline' },
  'login-required': { kind: 'login-required', user: 'ann', reason: 'revoked', canReturn: true },
} as const satisfies { [Kind in State['kind']]: Extract<State, { kind: Kind }> }

const events = {
  restored: { type: 'restored', state: { kind: 'signed-in', user: 'bob', access: 'fresh' } },
  'storage-lost': { type: 'storage-lost', reason: 'evicted' },
  'session-saved': { type: 'session-saved', user: 'bob', access: 'refreshing' },
  'access-changed': { type: 'access-changed', access: 'fresh' },
  'session-over': { type: 'session-over', reason: 'expired', canReturn: false },
  locked: { type: 'locked', locked: overLocked },
  switched: { type: 'switched', state: { kind: 'signed-in', user: 'bob', access: 'offline' } },
  left: { type: 'left' },
} as const satisfies { [Type in Event['type']]: Extract<Event, { type: Type }> }

const same = 'same'
const bobRestored: State = events.restored.state
const bobSaved: State = { kind: 'signed-in', user: 'bob', access: 'refreshing' }
const bobSwitched: State = events.switched.state
const evicted: State = { kind: 'unavailable', reason: 'evicted' }
const out: State = { kind: 'signed-out' }

/** Where every event leads from every state. A new state or event without a row here does not compile. */
const table: { [Kind in State['kind']]: { [Type in Event['type']]: State | typeof same } } = {
  restoring: {
    restored: bobRestored,
    'storage-lost': evicted,
    'session-saved': bobSaved,
    'access-changed': same,
    'session-over': same,
    locked: overLocked,
    switched: bobSwitched,
    left: out,
  },
  unavailable: {
    restored: bobRestored,
    'storage-lost': evicted,
    'session-saved': bobSaved,
    'access-changed': same,
    'session-over': same,
    locked: overLocked,
    switched: bobSwitched,
    left: same,
  },
  'signed-out': {
    restored: bobRestored,
    'storage-lost': evicted,
    'session-saved': bobSaved,
    'access-changed': same,
    'session-over': same,
    locked: overLocked,
    switched: bobSwitched,
    left: out,
  },
  locked: {
    restored: bobRestored,
    'storage-lost': evicted,
    'session-saved': bobSaved,
    'access-changed': same,
    'session-over': overLocked,
    locked: overLocked,
    switched: bobSwitched,
    left: out,
  },
  'signed-in': {
    restored: bobRestored,
    'storage-lost': evicted,
    'session-saved': bobSaved,
    'access-changed': { kind: 'signed-in', user: 'ann', access: 'fresh' },
    'session-over': { kind: 'login-required', user: 'ann', reason: 'expired', canReturn: false },
    locked: overLocked,
    switched: bobSwitched,
    left: out,
  },
  'login-required': {
    restored: bobRestored,
    'storage-lost': evicted,
    'session-saved': bobSaved,
    'access-changed': same,
    'session-over': same,
    locked: overLocked,
    switched: bobSwitched,
    left: out,
  },
}

describe.each(Object.values(states))('S2: from $kind', (state) => {
  test.each(Object.values(events))('$type', (event) => {
    const expected = table[state.kind][event.type]

    const next = nextAuthState<User>(state, event)

    if (expected === same) expect(next).toBe(state)
    else expect(next).toEqual(expected)
  })
})

test('a change of access to the one there is keeps the very object, so that nobody is told of nothing', () => {
  const state = states['signed-in']

  expect(nextAuthState<User>(state, { type: 'access-changed', access: state.access })).toBe(state)
})

test('a saved session is fresh unless somebody knows better', () => {
  expect(nextAuthState<User>(out, { type: 'session-saved', user: 'ann' })).toEqual({ kind: 'signed-in', user: 'ann', access: 'fresh' })
})

test.each(Object.values(states))('the current user of $kind', (state) => {
  const isOpen = state.kind === 'signed-in' || state.kind === 'login-required'

  expect(currentUserOf<User>(state)).toBe(isOpen ? 'ann' : null)
})
