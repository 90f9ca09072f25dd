// Contacts of another device that are odd but legal: a registrar must hand them on so that the
// browser libraries still read its 200.
export const ODD_CONTACTS = [
  '<sip:dev1@[2001:db8::7]:5060;transport=udp>',
  '<sip:dev%232@phone.example.net>',
  '"Ålice ☎" <sip:dev3@phone.example.net;ob>',
  '<sips:dev4@my_phone.lan>;q=1.0',
  '<sip:dev5@phone.example.net;pn-provider=acme;pn-prid=a:b:c>;+sip.instance="<urn:uuid:11111111-2222-4333-8444-555555555555>"',
  'sip:dev6@phone.example.net;expires=3000',
  '"Quoted \\"name\\", with comma" <sip:dev7@phone.example.net>;methods="INVITE, ACK"',
];
