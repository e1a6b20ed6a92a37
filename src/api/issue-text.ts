import type { z } from 'zod';

/** What is wrong, in the words of the schemas' own messages, where a schema has none of its own. */
export const issueText: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must be ${issue.minimum} or more`;
    case 'too_big':
      return `must be ${issue.maximum} or less`;
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${wanted[issue.expected] ?? issue.expected}`;
    default:
      return undefined; // zod's own words
  }
};

const wanted: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
};
