import type { ReactNode } from 'react'

export function NoticePage({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <main className="notice-page">
      <img src="/icon.svg" alt="" width="56" height="56" />
      <h1>{title}</h1>
      {children && <p>{children}</p>}
    </main>
  )
}
