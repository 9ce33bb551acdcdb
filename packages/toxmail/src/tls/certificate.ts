import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  NameConstraints,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

/**
 * Makes the two kinds of certificates (RFC 5280) that this machine needs; the ASN.1 comes from a library, which is why
 * this file is loaded only when one is to be made. Keys are ECDSA P-256, signatures with SHA-256.
 */
export interface Issued {
  /** PEM. */
  readonly certificate: string;
  /** PKCS #8 PEM. */
  readonly key: string;
}

/** Milliseconds since 1970. */
export interface Period {
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Issuer {
  /** PEM. */
  readonly certificate: string;
  readonly key: KeyObject;
}

const COMMON_NAME = '2.5.4.3';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const EXTENSION = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
};

/** An authority that can vouch only for names under `permitted`: host names, addresses and networks (`10.0.0.0/8`). */
export function issueAuthority(name: string, permitted: readonly string[], period: Period): Issued {
  const subject = commonName(name);
  const constraints = new NameConstraints({
    permittedSubtrees: new GeneralSubtrees(
      permitted.map((each) => new GeneralSubtree({ base: generalName(isIP(each) ? hostNetwork(each) : each) })),
    ),
  });
  return issue({ subject, issuer: subject, period }, [
    extension(EXTENSION.basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
    extension(EXTENSION.keyUsage, keyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign), true),
    extension(EXTENSION.nameConstraints, constraints, true),
  ]);
}

/** The server's own, for these host names and addresses. */
export function issueServer(name: string, names: readonly string[], period: Period, issuer: Issuer): Issued {
  const authority = parse(issuer.certificate);
  const keyIdentifier = new KeyIdentifier(keyId(authority.subjectPublicKeyInfo));
  const extensions = [
    extension(EXTENSION.basicConstraints, new BasicConstraints({ cA: false }), true),
    extension(EXTENSION.keyUsage, keyUsage(KeyUsageFlags.digitalSignature), true),
    extension(EXTENSION.extKeyUsage, new ExtendedKeyUsage([SERVER_AUTH])),
    extension(EXTENSION.subjectAltName, new SubjectAlternativeName(names.map(generalName))),
    extension(EXTENSION.authorityKeyIdentifier, new AuthorityKeyIdentifier({ keyIdentifier })),
  ];
  return issue({ subject: commonName(name), issuer: authority.subject, period, issuerKey: issuer.key }, extensions);
}

/** What an authority of `issueAuthority` may vouch for, in the form that it was given. */
export function permittedBy(certificate: string): string[] {
  const found = parse(certificate).extensions?.find((each) => each.extnID === EXTENSION.nameConstraints);
  const constraints = found && AsnConvert.parse(found.extnValue, NameConstraints);
  return (constraints?.permittedSubtrees ?? []).flatMap(({ base }) => base.dNSName ?? base.iPAddress ?? []);
}

interface Content {
  readonly subject: Name;
  readonly issuer: Name;
  readonly period: Period;
  /** Without: signed by its own key. */
  readonly issuerKey?: KeyObject;
}

function issue({ subject, issuer, period, issuerKey }: Content, extensions: Extension[]): Issued {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subjectPublicKeyInfo = AsnConvert.parse(
    publicKey.export({ type: 'spki', format: 'der' }),
    SubjectPublicKeyInfo,
  );
  const signature = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const identifier = new SubjectKeyIdentifier(keyId(subjectPublicKeyInfo));
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature,
    issuer,
    validity: new Validity({ notBefore: new Date(period.notBefore), notAfter: new Date(period.notAfter) }),
    subject,
    subjectPublicKeyInfo,
    extensions: new Extensions([...extensions, extension(EXTENSION.subjectKeyIdentifier, identifier)]),
  });
  const signed = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), issuerKey ?? privateKey);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: signature,
    signatureValue: new Uint8Array(signed).buffer,
  });
  return {
    certificate: pem(new Uint8Array(AsnConvert.serialize(certificate))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function extension(extnID: string, value: object, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function keyUsage(flags: number): KeyUsage {
  return new KeyUsage(flags);
}

function commonName(name: string): Name {
  const value = new AttributeValue({ utf8String: name });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })])]);
}

function generalName(name: string): GeneralName {
  return new GeneralName(isIP(name.split('/')[0]!) ? { iPAddress: name } : { dNSName: name });
}

function hostNetwork(address: string): string {
  return `${address}/${isIP(address) === 6 ? 128 : 32}`;
}

/** RFC 5280 §4.2.1.2, method 1. */
function keyId({ subjectPublicKey }: SubjectPublicKeyInfo): ArrayBuffer {
  return new Uint8Array(createHash('sha1').update(new Uint8Array(subjectPublicKey)).digest()).buffer;
}

/** RFC 5280 §4.1.2.2: positive, at most 20 octets. */
function serialNumber(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.buffer;
}

function parse(certificate: string): TBSCertificate {
  const base64 = /-----BEGIN CERTIFICATE-----([^-]+)-----/.exec(certificate)?.[1] ?? '';
  return AsnConvert.parse(Buffer.from(base64, 'base64'), Certificate).tbsCertificate;
}

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
