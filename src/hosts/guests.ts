import type { Driver } from '../drivers/driver.ts';
import type { Guest } from '../guest/guest.ts';
import type { BoxId } from '../kernel/ids.ts';

/** The guests of the boxes that run on this host: one connection a box, made when it is first wanted. */
export class GuestRegistry {
  readonly #driver: Pick<Driver, 'guestAddress'>;
  readonly #connect: (address: string) => Guest;
  readonly #guests = new Map<BoxId, Guest>();

  constructor(driver: Pick<Driver, 'guestAddress'>, connect: (address: string) => Guest) {
    this.#driver = driver;
    this.#connect = connect;
  }

  /** The guest of a running box; null when the driver has none. */
  of(boxId: BoxId): Guest | null {
    const known = this.#guests.get(boxId);
    if (known !== undefined) return known;
    const address = this.#driver.guestAddress(boxId);
    if (address === null) return null;
    const guest = this.#connect(address);
    this.#guests.set(boxId, guest);
    return guest;
  }

  /** Closes the box's connection, if there is one: its next guest is another. */
  drop(boxId: BoxId): void {
    this.#guests.get(boxId)?.close();
    this.#guests.delete(boxId);
  }

  close(): void {
    for (const guest of this.#guests.values()) guest.close();
    this.#guests.clear();
  }
}
