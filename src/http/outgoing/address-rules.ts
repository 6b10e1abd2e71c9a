// Which addresses of the network a user's URL may lead to: public ones, and those that the operator has named.

import { BlockList, isIP } from 'node:net'

/** Networks that are not the public internet (IANA special-purpose registries), IPv4 then IPv6. */
const closed: readonly (readonly [network: string, bits: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]
const open6 = new BlockList()
// Of IPv6 only global unicast is public; within it, what wraps an IPv4 address or is not routed is not.
open6.addSubnet('2000::', 3, 'ipv6')
const closed6: readonly (readonly [network: string, bits: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const closedList = new BlockList()
for (const [network, bits] of closed) closedList.addSubnet(network, bits, 'ipv4')
for (const [network, bits] of closed6) closedList.addSubnet(network, bits, 'ipv6')

export interface AddressRules {
  /** Whether a connection to this address may be made, under this name. */
  isOpen(address: string, host: string): boolean
}

/** Rules with exceptions: names, addresses, or networks as `10.1.0.0/16`. */
export function addressRules(allow: readonly string[]): AddressRules {
  const names = new Set<string>()
  const networks = new BlockList()
  for (const entry of allow) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address)
    if (family === 0) names.add(entry.toLowerCase())
    else
      networks.addSubnet(address, Number(bits ?? (family === 4 ? 32 : 128)), family === 4 ? 'ipv4' : 'ipv6')
  }
  return {
    isOpen(address, host) {
      if (names.has(host.toLowerCase())) return true
      const family = isIP(address)
      if (family === 0) return false
      const type = family === 4 ? 'ipv4' : 'ipv6'
      return networks.check(address, type) || isPublic(address, family)
    },
  }
}

function isPublic(address: string, family: number): boolean {
  if (family === 4) return !closedList.check(address, 'ipv4')
  return open6.check(address, 'ipv6') && !closedList.check(address, 'ipv6')
}
