import type { IncomingHttpHeaders } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { ResolvedDebugPanelOptions } from './debug-panel-options.ts'

/** The parts of a request that show its sender and the host name used. */
export interface Asking {
  readonly socket: { readonly remoteAddress?: string | undefined }
  readonly headers: IncomingHttpHeaders & { readonly ':authority'?: string | undefined }
}

type Allowed = Pick<ResolvedDebugPanelOptions, 'allowHosts' | 'allowAddresses'>

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/**
 * Why the panel does not answer; undefined if it does.
 *
 * The peer of the socket counts, and every address that a proxy says it asks for: such a header can only take access away.
 * The host is that of the address bar, so a page elsewhere whose name was made to resolve to this machine has another.
 */
export function refusal({ socket, headers }: Asking, { allowHosts, allowAddresses }: Allowed): string | undefined {
  const isAllowed = (address: string): boolean => contains(LOOPBACK, address) || contains(allowAddresses, address)
  const peer = socket.remoteAddress ?? ''
  const foreign = [peer, ...forwardedFor(headers)].find((address) => !isAllowed(address))
  if (foreign !== undefined) {
    return (
      `The debug panel answers to this machine only, and ${foreign === '' ? 'a peer without address' : foreign} asked. ` +
      `Where that is you, give debugPanel allowAddresses: ['<that address>'].`
    )
  }
  const host = hostOf(headers)
  if (host !== undefined && (isLocal(host) || allowHosts.has(host))) return undefined
  return (
    `The debug panel answers under the name localhost, and was asked under ${host ?? 'none'}. ` +
    `Where that name is your own, give debugPanel allowHosts: ['<that name>'].`
  )
}

function contains(list: BlockList, address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  const family = isIP(plain)
  // An IPv4 address that came in over an IPv6 socket is looked up as what it is.
  return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
}

function forwardedFor(headers: Asking['headers']): string[] {
  const plain = [headers['x-forwarded-for'], headers['x-real-ip']].flatMap((value) => value ?? [])
  const forwarded = headers.forwarded === undefined ? [] : [...headers.forwarded.matchAll(/for=([^;,]+)/gi)]
  return [...plain.flatMap((value) => value.split(',')), ...forwarded.map(([, value = '']) => value)].map(bareAddress)
}

/** Removes the port and brackets that such headers may have. */
function bareAddress(text: string): string {
  const trimmed = text.trim().replaceAll('"', '')
  const [, inBrackets, v4] = /^(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+)$/.exec(trimmed) ?? []
  return inBrackets ?? v4 ?? trimmed
}

/** The name in the address bar, in lower case and without the port. */
function hostOf(headers: Asking['headers']): string | undefined {
  const host = headers[':authority'] ?? headers.host ?? ''
  const [, inBrackets, name] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d+)?$/i.exec(host) ?? []
  return (inBrackets ?? name?.replace(/\.$/, ''))?.toLowerCase()
}

function isLocal(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || contains(LOOPBACK, host)
}
