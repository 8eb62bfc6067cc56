"""More opposites: qualities, states, roles and deeds, in the form of `opposite_pairs`, several on a line. Data only."""

from __future__ import annotations

__all__ = ["QUALITIES"]

_TEXT = """
v: marry | divorce; v: amplify boost | reduce dampen; v: encourage recommend | discourage
v: preserve restore rebuild | demolish destroy; v: introduce implement | abolish eradicate remove
v: waive | charge; v: cover | exclude; v: change vary | remain stay; v: prevent avoid | cause promote trigger
v: increase grow rise climb | decline dwindle; v: improve | worsen deteriorate; v: repair fix | damage
v: confirm | deny; v: obey | disobey; v: retain keep | discard; v: enable activate | remove; v: arrest | release
v: ignore | consider
w: limited partial | extensive full complete; w: sometimes occasionally | always | never
w: often frequently regularly | infrequently rarely seldom; w: important significant | unimportant insignificant
w: native | foreign; w: acceptance approval | rejection refusal; w: inclusion | exclusion
w: preservation restoration | destruction demolition; w: arrival arrivals | departure departures
w: entrance | exit; w: majority | minority; w: happy glad | sad unhappy; w: evil | good; w: polite | rude
w: rural | urban; w: modern | traditional ancient; w: natural | artificial synthetic; w: beautiful pretty | ugly
w: clean | dirty; w: quiet silent | loud noisy; w: smooth | rough; w: sharp | blunt dull; w: sweet | bitter | sour
w: awake | asleep; w: interior | exterior; w: frontend | backend; w: hardware | software
w: ancestor ancestors | descendant descendants; w: predator predators | prey; w: plaintiff | defendant
w: victory | defeat; w: excess surplus | lack shortage deficit; w: ahead | behind; w: hero | villain
w: introvert introverts | extrovert extroverts; w: solar | lunar; w: latitude | longitude; w: vowel | consonant
w: numerator | denominator; w: artery arteries | vein veins; w: mitosis | meiosis; w: proton | neutron | electron
w: republican republicans | democrat democrats; w: conservative | liberal; w: debit | credit
w: capitalism capitalist | communism communist | socialism socialist; w: bacteria bacterial | virus viral
w: noun | verb | adjective | adverb; w: sine | cosine | tangent; w: hypothermia | hyperthermia
w: import imports | export exports; w: inflation | deflation; w: optimism | pessimism; w: wisdom | folly
w: obese overweight | underweight; w: pregnant | infertile; w: gay homosexual | straight heterosexual
w: vegetarian vegan | carnivore; w: amateur | professional; w: rookie | veteran; w: novice | expert
w: valid | questionable; w: safe | risky; w: healthy | unhealthy sick; w: simple | complicated complex
w: flexible | rigid; w: generous | stingy; w: brave | cowardly; w: smart intelligent clever | stupid dumb
w: liquid | solid | gas; w: lead | follow; w: attack | defense defence; w: sunrise | sunset; w: dawn | dusk
w: oral | written; w: major | minor; w: asset | liability; w: gift | loan; w: tenant | owner
w: first | later; w: abroad | home; w: backup | restore; w: upstairs | downstairs; w: wholesale | retail
w: fiction | nonfiction; w: prose | poetry
"""

QUALITIES = [pair.strip() for line in _TEXT.strip().splitlines() for pair in line.split(";")]
