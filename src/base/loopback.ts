// Recognizes this machine's own address in settings, sockets and Host headers. Listening without tenants, the accepted Host names, and
// reading metrics without a key all depend on this definition.

/** Host names for loopback, as a Host header contains them. */
export const loopbackNames: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** Short forms of 127/8 count too, because the resolver accepts 127.1 for 127.0.0.1. */
const LOOPBACK = /^(localhost|(::ffff:)?127(\.\d{1,3}){1,3}|::1|\[::1\])$/i

/** Whether a host is this machine's own address, as IPv4, IPv6 or IPv4 in IPv6. */
export function isLoopback(host: string | undefined): boolean {
  return host !== undefined && LOOPBACK.test(host)
}
