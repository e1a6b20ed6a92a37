/** Release of the agent; the same as in package.json, which a bundle does not carry. */
export const agentVersion = '0.1.0';
