// What is this machine's own address, as a setting names it, a socket tells it, or a Host header spells it. Who may listen without
// tenants, which Host names are answered, and who reads metrics without a key all hang on this one definition.

/** Host names, as a Host header spells them, that lead to whoever listens on loopback. */
export const loopbackNames: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** The short spellings of 127/8 too: the resolver takes 127.1 for 127.0.0.1. */
const LOOPBACK = /^(localhost|(::ffff:)?127(\.\d{1,3}){1,3}|::1|\[::1\])$/i

/** Whether a host is this machine's own, in IPv4, IPv6 or IPv4 within IPv6. */
export function isLoopback(host: string | undefined): boolean {
  return host !== undefined && LOOPBACK.test(host)
}
