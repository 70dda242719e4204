export interface SiteDocument {
  readonly path: string
  readonly type: string
  readonly bytes: Buffer
  readonly isImmutable: boolean
}
export function renderSite(): {
  readonly documents: readonly SiteDocument[]
  readonly notFound: Buffer
  readonly faults: readonly string[]
}
