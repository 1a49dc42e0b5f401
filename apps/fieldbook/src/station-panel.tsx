import { useState } from 'react'
import { AnnouncementList } from './announcement-list.tsx'
import { announce } from './announcements.ts'
import { useLastSyncAtMs } from './last-sync.ts'
import { revokeSessions } from './link-client.ts'
import { LinkSwitch } from './link-switch.tsx'
import { LogOut } from './log-out.tsx'
import type { FieldbookSyncState, FieldbookUser } from './session.ts'
import { nameOf } from './session.ts'
import { StatusLight } from './status-light.tsx'
import type { Status } from './status-text.ts'
import { timeText } from './time-text.ts'

interface StationPanelProps {
  readonly user: FieldbookUser
  readonly sync: FieldbookSyncState
  readonly status: Status
  /** On a phone the panel opens by a button; on a wide page it is always there. */
  readonly open: boolean
}

/** Who is signed in, how sync stands, and the switch of the link. */
export function StationPanel({ user, sync, status, open }: StationPanelProps) {
  const lastSyncAtMs = useLastSyncAtMs(user.key, sync)
  return (
    <aside id="station-panel" className="station-panel" data-open={open} aria-label="Station">
      <section className="panel-part">
        <h2>Status</h2>
        <p className="status">
          <StatusLight tone={status.tone} />
          <strong>{status.label}</strong>
          <span className="hint">{status.detail}</span>
        </p>
        <p className="who" title={nameOf(user)}>
          {nameOf(user)}
        </p>
        <dl className="facts">
          <dt>Waiting to be sent</dt>
          <dd data-testid="pending">{sync.pending.count}</dd>
          {sync.rejected > 0 && (
            <>
              <dt>Refused by the server</dt>
              <dd>{sync.rejected}</dd>
            </>
          )}
          <dt>Last sync</dt>
          <dd>{lastSyncAtMs === undefined ? 'not yet' : timeText(lastSyncAtMs)}</dd>
        </dl>
        <LogOut user={user} pending={sync.pending.count} />
      </section>
      <section className="panel-part">
        <h2>Satellite link</h2>
        <LinkSwitch />
        <RevokeButton userId={user.id} />
      </section>
      <section className="panel-part panel-log">
        <h2>Log</h2>
        <AnnouncementList newest={5} />
      </section>
    </aside>
  )
}

function RevokeButton({ userId }: { readonly userId: string }) {
  const [busy, setBusy] = useState(false)
  const revoke = async () => {
    setBusy(true)
    try {
      const count = await revokeSessions(userId)
      announce(count === 1 ? 'The server has revoked your session.' : `The server has revoked ${count} sessions of yours.`)
    } catch (error) {
      announce(error instanceof Error ? error.message : 'The server cannot revoke sessions now.')
    }
    setBusy(false)
  }
  return (
    <button type="button" className="button small" disabled={busy} onClick={() => void revoke()}>
      Revoke my sessions
    </button>
  )
}
