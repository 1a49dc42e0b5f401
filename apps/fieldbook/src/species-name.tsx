import type { Species } from './schemas.ts'

/** The name with its colour, which is the same on every screen. */
export function SpeciesName({ species }: { readonly species: Species }) {
  return (
    <span className="species" data-species={species}>
      {species}
    </span>
  )
}
