import { ApiError } from '../http/api-error.ts'
import { route } from '../http/route.ts'

const loopback = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1'])

/** What the server would have mailed, as a page; served only with `--dev-routes` and to this machine only. */
export const devMailRoute = route({
  method: 'GET',
  path: '/v1/dev/mail',
  summary: 'The mails that were written to files, the newest first',
  bearer: false,
  noStore: true,
  answers: { 200: 'text/html' },
  handle({ peer }, { accounts }) {
    if (peer === undefined || !loopback.has(peer)) throw new ApiError(404, 'not_found', 'There is nothing here.')
    const mails = (accounts.mailBox?.list() ?? []).map(
      ({ id, to, subject, text, sentAtMs }) =>
        `<article id="${escaped(id)}"><h2>${escaped(subject)}</h2><p>to ${escaped(to)}, ${new Date(sentAtMs).toISOString()}</p><pre>${withLinks(escaped(text))}</pre></article>`,
    )
    const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Mails of this development server</title><h1>Mails</h1>${mails.join('<hr>') || '<p>None yet.</p>'}</html>`
    return new Response(page, { headers: { 'Content-Type': 'text/html; charset=utf-8' } })
  },
})

const escaped = (text: string) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
/** Ends at the first character that `escaped` has touched, save those of a query. */
const withLinks = (html: string) => html.replace(/https?:\/\/(?:[^\s&]|&#38;)+/g, '<a href="$&">$&</a>')
