/** Something to wait at until the test opens it. */
export const gate = <T = void>() => {
  let open: (value: T) => void = () => undefined;
  const passed = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { passed, open: (value: T) => open(value) };
};
