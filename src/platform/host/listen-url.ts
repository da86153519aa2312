/** `http://[::1]:8787`: IPv6 addresses stand in brackets. */
export function listenUrl(hostname: string, port: number): string {
  return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
