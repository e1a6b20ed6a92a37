import type { Driver } from '../drivers/driver.ts';
import type { Guest } from '../guest/guest.ts';
import type { BoxId } from '../kernel/ids.ts';
import type { BoxUses } from './box-uses.ts';
import { usedGuest } from './used-guest.ts';

/** The guests of the boxes that run on this host: one connection a box, made when it is first wanted. */
export class GuestRegistry {
  readonly #driver: Pick<Driver, 'guestAddress'>;
  readonly #connect: (address: string) => Guest;
  readonly #uses: Pick<BoxUses, 'begin'> | undefined;
  readonly #guests = new Map<BoxId, Guest>();

  /** `uses`: told of the copies that go through the guests. */
  constructor(
    driver: Pick<Driver, 'guestAddress'>,
    connect: (address: string) => Guest,
    uses?: Pick<BoxUses, 'begin'>,
  ) {
    this.#driver = driver;
    this.#connect = connect;
    this.#uses = uses;
  }

  /** The guest of a running box; null when the driver has none. */
  of(boxId: BoxId): Guest | null {
    const known = this.#guests.get(boxId);
    if (known !== undefined) return known;
    const address = this.#driver.guestAddress(boxId);
    if (address === null) return null;
    const connected = this.#connect(address);
    const uses = this.#uses;
    const guest = uses === undefined ? connected : usedGuest(connected, () => uses.begin(boxId));
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
