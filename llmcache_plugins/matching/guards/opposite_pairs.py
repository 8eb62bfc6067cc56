"""Opposites. Data only; inflected forms are made when the module is loaded.

A line is one pair: the words of one side, a bar, the words of the other. "v:" verbs are inflected (start, starts,
started, starting), "w:" words stand as they are and may be more than two kinds that exclude each other.
"""

from __future__ import annotations

from llmcache_plugins.matching.guards.base import words_of

__all__ = ["IRREGULAR", "PAIRS", "PARTICLES", "PREFIX_EXCEPTIONS"]

PAIRS = """
v: enable activate | disable deactivate
v: start launch begin | stop halt end finish
v: add | remove delete
v: insert | delete remove
v: create | delete destroy
v: allow permit | deny block forbid prohibit disallow
v: allow permit | reject ban
v: accept approve | reject decline refuse
v: increase raise grow rise | decrease reduce lower shrink
v: rise climb | fall drop
v: gain | lose
v: win | lose
v: maximize maximise | minimize minimise
v: open | close shut
v: import | export
v: upload | download
v: push | pull
v: send transmit | receive
v: read | write
v: connect attach | disconnect detach
v: install | uninstall
v: encrypt | decrypt
v: encode | decode
v: compress zip | decompress unzip
v: pack | unpack
v: mount | unmount
v: load | unload
v: plug | unplug
v: lock | unlock
v: link | unlink
v: subscribe | unsubscribe
v: follow | unfollow
v: publish | unpublish
v: register | deregister unregister
v: join merge | leave split
v: buy purchase | sell
v: lend | borrow
v: borrow | repay
v: hire | fire
v: employ | dismiss
v: deposit | withdraw
v: credit | debit
v: earn | spend
v: save | waste
v: save | spend
v: pass | fail
v: succeed | fail
v: show display reveal | hide conceal
v: expand extend | collapse contract
v: zoom | unzoom
v: include | exclude
v: commit | revert
v: upgrade | downgrade
v: promote | demote
v: advertise announce | withdraw suppress
v: establish | terminate
v: assemble | disassemble
v: assign | unassign
v: allocate | deallocate
v: lengthen | shorten
v: strengthen | weaken
v: widen | narrow
v: accelerate | decelerate
v: speed | slow
v: heat warm | cool
v: freeze | thaw melt
v: fill | empty
v: love like | hate dislike
v: remember | forget
v: trust | distrust
v: agree | disagree
v: praise | criticize criticise
v: attack | defend
v: arrive | depart
v: enter | exit
v: appear | disappear
v: push | pop
v: stretch | compress
v: pause | resume
v: suspend | resume
v: hold | release
v: grant | revoke
v: mute | unmute
v: pin | unpin
v: stage | unstage
v: archive | unarchive
v: quarantine | release
v: isolate | connect
v: inhale | exhale
v: tighten | loosen
v: sink | float
v: multiply | divide
v: subtract | add
v: increment | decrement
v: inflate | deflate
v: serialize serialise | deserialize deserialise
w: up | down
w: online | offline
w: before prior | after
w: since | until till
w: if | unless
w: above over | below under beneath
w: inside within | outside
w: minimum min smallest lowest least | maximum max largest highest biggest most
w: lower | upper higher
w: more | less fewer
w: greater larger bigger higher | smaller less lower
w: many | few
w: longer | shorter
w: longest | shortest
w: taller | shorter
w: faster quicker | slower
w: fastest | slowest
w: older | younger newer
w: oldest | youngest newest
w: earlier | later
w: earliest | latest
w: stronger | weaker
w: cheaper | costlier dearer
w: cheapest | costliest
w: better | worse
w: best | worst
w: heavier | lighter
w: hotter warmer | colder cooler
w: deeper | shallower
w: richer | poorer
w: thicker | thinner
w: safer | riskier
w: easier | harder
w: last final | first initial
w: next | previous
w: ascending | descending
w: inbound incoming | outbound outgoing
w: ingress | egress
w: input inputs | output outputs
w: upstream | downstream
w: uplink | downlink
w: source src | destination dst
w: sender senders | receiver receivers recipient recipients
w: client clients | server servers
w: primary | secondary backup
w: active | standby passive
w: active | inactive
w: static | dynamic
w: true | false
w: yes | no
w: positive | negative
w: high | low
w: tall | short
w: long | short
w: large big | small little
w: hot | cold
w: wet | dry
w: fast quick | slow
w: strong | weak
w: rich | poor
w: thick | thin
w: wide | narrow
w: deep | shallow
w: old ancient | new
w: old | young
w: early | late
w: cheap | expensive
w: easy | difficult hard
w: safe | dangerous unsafe
w: legal | illegal
w: good | bad
w: right correct | wrong incorrect
w: left | right
w: north northern | south southern | east eastern | west western
w: alive | dead
w: full | empty
w: public | private
w: internal | external
w: local | remote
w: physical | virtual
w: manual manually | automatic automatically
w: temporary temporarily | permanent permanently
w: present | absent
w: visible | hidden invisible
w: mandatory required | optional
w: synchronous sync | asynchronous async
w: mutable | immutable
w: signed | unsigned
w: sorted | unsorted
w: encrypted | unencrypted plaintext
w: trusted | untrusted
w: tagged | untagged
w: managed | unmanaged
w: unicast | multicast broadcast
w: symmetric | asymmetric
w: vertical vertically | horizontal horizontally
w: top | bottom
w: front | rear back
w: forward forwards | backward backwards
w: forward | reverse
w: clockwise | counterclockwise anticlockwise
w: odd | even
w: male | female
w: man men | woman women
w: husband | wife
w: father | mother
w: brother | sister
w: boy boys | girl girls
w: king | queen
w: parent | child
w: buyer buyers | seller sellers
w: landlord landlords | tenant tenants
w: employer employers | employee employees
w: lender lenders | borrower borrowers
w: winner winners | loser losers
w: winning | losing
w: teacher teachers | student students
w: doctor doctors | patient patients
w: advantage advantages benefit benefits pros | disadvantage disadvantages drawback drawbacks cons
w: strength strengths | weakness weaknesses
w: optimist optimistic | pessimist pessimistic
w: guilty | innocent
w: religious | secular
w: formal formally | informal informally casual casually
w: singular | plural
w: domestic | foreign international
w: always | never
w: often frequently | rarely seldom
w: all every | none
w: everyone everybody | nobody
w: everything | nothing
w: ally allies | enemy enemies
w: friend friends | enemy enemies
w: day daytime | night nighttime
w: morning | evening
w: summer | winter
w: life | death
w: war | peace
w: success | failure
w: profit profits | loss losses
w: asset assets | liability liabilities
w: supply | demand
w: heaven | hell
w: hope | despair
w: past | future
w: mortal | immortal
w: racist | antiracist
w: breakfast | lunch | dinner supper
w: weekday weekdays | weekend weekends
w: hourly | daily | weekly | monthly | quarterly | yearly annual annually
w: tcp | udp | icmp | sctp
w: bgp | ospf | eigrp | isis
w: mysql | postgresql postgres | sqlite | mongodb
w: celsius centigrade | fahrenheit | kelvin
w: red | green | blue | yellow | black | white | orange | purple | pink | brown | grey gray
w: uppercase | lowercase
w: senior | junior
w: inner | outer
w: indoor indoors | outdoor outdoors
w: half | full
w: incremental | differential
w: whitelist allowlist whitelisted | blacklist denylist blocklist blacklisted
w: single | dual double | multi multiple multimode
w: master | slave
w: prefix | suffix postfix | infix
w: net | gross
w: free | paid
w: birth | death
w: acute | chronic
w: benign | malignant
w: son sons | daughter daughters
w: uncle | aunt
w: lossy | lossless
w: login | logout
w: startup | shutdown
""".strip().splitlines()

# verbs | particle of one side | particle of the other: "turn it on", "turned off", "switching on"
PARTICLES = """
turn switch power toggle come go | on | off
log sign opt dial phase move check clock zoom scale | in | out
sign | in | up
scale bring come go turn wind size roll speed power ramp move walk | up | down
set start boot spin build put | up | down
roll | forward | back
""".strip().splitlines()

IRREGULAR = dict(
    line.split(": ")
    for line in """
begin: begins began begun beginning beginnings
grow: grows grew grown growing growth
rise: rises rose risen rising
fall: falls fell fallen falling
shut: shuts shutting
lose: loses lost losing
win: wins won winning
send: sends sent sending
read: reads reading
write: writes wrote written writing
leave: leaves left leaving
buy: buys bought buying
sell: sells sold selling
lend: lends lent lending
withdraw: withdraws withdrew withdrawn withdrawing withdrawal withdrawals
spend: spends spent spending
hide: hides hid hidden hiding
show: shows showed shown showing
forget: forgets forgot forgotten forgetting
freeze: freezes froze frozen freezing
hold: holds held holding
forbid: forbids forbade forbidden forbidding
shrink: shrinks shrank shrunk shrinking
split: splits splitting
sink: sinks sank sunk sinking
speed: speeds sped speeding
enable: enables enabled enabling enablement
encrypt: encrypts encrypted encrypting encryption
decrypt: decrypts decrypted decrypting decryption
install: installs installed installing installation
uninstall: uninstalls uninstalled uninstalling uninstallation
like: likes liked
end: ends ended ending
lower: lowers lowered lowering
contract: contracted contracting
save: saves saved saving
fill: fills filled filling
empty: empties emptied emptying
narrow: narrows narrowed narrowing
slow: slows slowed slowing slowdown
cool: cools cooled cooling
warm: warms warmed warming
delete: deletes deleted deleting deletion
remove: removes removed removing removal
add: adds added adding
refuse: refuses refused refusing
reduce: reduces reduced reducing reduction
allocate: allocates allocated allocating allocation
deallocate: deallocates deallocated deallocating deallocation
compress: compresses compressed compressing compression
decompress: decompresses decompressed decompressing decompression
""".strip().splitlines()
)

# Words that begin like a negated form of another word and are none: "discover" is no opposite of "cover".
PREFIX_EXCEPTIONS = words_of(
    """discover discovered discovering discovery inform information informed informing input inputs install
    installed installing installs intend intended intent intake intakes income incomes inside inline invest
    invested investing investment imports import imported importing important impress improve impact impart
    implant imprint impose indeed increase increased increasing increases incline include included index induce
    industry infield inflow influence infuse ingrain ingrown inhouse inlaid inland inlet inner inpatient inroad
    inscribe inset insight inspire instance instant institute intense interest interested intern invent involve
    inward inwards display displays displayed discount discounts discounted dispatch dispatched discourse
    discuss discussed dispense disperse displace dispute dissolve distance distant distill distress district
    disease disaster disguise disposal dispose disposed distract distracted distain disport under unit units
    unite united union unique until unto unless university universe unity nonce nonetheless illuminate irritate
    irrigate immerse immediate immense immigrant imagine image images imbed individual influx informant ingest
    inquire insure insured insuring insurance intact integrate integer international internet internal interview
    inverse inversion invite involved intuition ingenious inflammable invaluable infamous indifferent
    disinterested instill inferior infer inference ingredient inherit inhabit inhabited inherent innovation
    insert inserted inserting infront insects insect inspect inspection inspired inspiration institution instrument"""
)
