/** Whether a path can mean nothing but a directory: it ends with a slash, or is or ends with `.` or `..`. */
export const asksForDirectory = (path: string): boolean => /(^|\/)\.{0,2}$/.test(path);
