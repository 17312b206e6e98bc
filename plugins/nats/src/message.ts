// What an event looks like as a message: one OTLP request with its resource and scope, under a subject and headers.
import type { EventEncoding, EventPlace, KeyedEvent, Signal, Template } from 'spillway/plugin';
import type { ChainedMessage } from './stream-chain.ts';
import { subjectPart } from './subject.ts';

export interface MessageOptions {
  readonly subject: Template;
  readonly payload: EventEncoding;
}

const contentTypes = { json: 'application/json', protobuf: 'application/x-protobuf' } as const;

/** Undefined: its fields are asked for, and it cannot be decoded. */
export function subjectOf(event: KeyedEvent, { subject }: MessageOptions): string | undefined {
  return event.rendered(subject, subjectPart);
}

export interface Addressed {
  readonly event: KeyedEvent;
  readonly signal: Signal;
  readonly place: EventPlace;
  readonly subject: string;
}

/** Undefined: it is to be JSON, and cannot be decoded. */
export function messageOf(addressed: Addressed, { payload: encoding }: MessageOptions): ChainedMessage | undefined {
  const { event, signal, place, subject } = addressed;
  const payload = event.encoded(encoding);
  const headers = [
    ['Content-Type', contentTypes[encoding]],
    ['Spillway-Signal', signal],
  ] as const;
  return payload && { place, key: event.key, subject, headers, payload };
}
