export interface Page {
  readonly file: string
  readonly path: string
  readonly group: string
  readonly label: string | undefined
  readonly isSource: boolean
}
export const root: string
export const BASE: string
export function docsFiles(): string[]
export function orderedPages(): Page[]
export function allPages(): Page[]
