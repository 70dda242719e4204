// Client addresses as cwm reads them from X-Forwarded-For, because loopback addresses are exempt from shares by address. From the ranges for
// documentation (RFC 5737).

export const ATTACKER = '203.0.113.66'
export const HONEST = '198.51.100.7'
