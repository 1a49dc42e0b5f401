export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** How mails leave. */
export interface MailPort {
  send(mail: Mail): Promise<void>
  close(): void
}
