"""Words that people write with a capital in a title or for stress, and that name nothing. Data only.

Left out is what often is part of a name: colours, points of the compass, animals, things of nature.
"""

from __future__ import annotations

from llmcache_plugins.matching.guards.base import words_of

__all__ = ["ORDINARY"]

ORDINARY = words_of(
    """think thinks thinking thought believe say says said mean means meant make makes making made become becomes
    becoming became happen happens happened work works working worked use uses using used help helps helping helped
    learn learns learning learned learnt start starts starting started stop stops stopped begin begins try trying tried
    lose losing lost gain gaining gained win winning won improve improving improved increase increasing increased
    reduce reducing reduced remove removing removed avoid avoiding prevent fix fixing fixed solve solving solved choose
    choosing chose create creating created build building built write writing written read reading speak speaking
    talk talking play playing played watch watching see seeing seen look looking feel feeling felt love loving loved
    hate hating live living die dying died eat eating drink drinking sleep sleeping pay paying paid buy buying bought
    sell selling sold earn earning earned send sending sent receive receiving received take taking took taken give
    giving gave given keep keeping kept put bring brought leave leaving come coming came run running turn turning
    move moving call calling called ask asking asked answer answers answered question questions tell telling told hear
    heard understand understanding understood remember forget forgot believe consider considered compare compared
    prepare preparing prepared study studying studied teach teaching taught travel travelling traveling visit visiting
    download downloading install installing upgrade upgrading delete deleting deleted recover recovering recovered
    apply applying applied join joining joined support supporting supported affect affects affected cause causes caused
    able qualified eligible allowed required needed available possible impossible necessary important popular famous
    common similar different difference differences same other another each every many much more most less least few
    several all both only own such very too ever never always often sometimes now today yesterday tomorrow later soon
    again still already yet here there away back together quickly slowly fast easily easy hard difficult simple quick
    good better best bad worse worst great big small large long short high low old new young right wrong true false
    real free cheap expensive safe dangerous legal illegal normal strange rich poor happy sad beautiful ugly strong
    weak full empty fresh latest recent modern ancient top major minor main general special current
    idea ideas tip tips advice step steps reason reasons benefit benefits advantage advantages disadvantage
    disadvantages pros cons effect effects impact role meaning definition purpose use example examples list lists
    review reviews opinion opinions view views fact facts problem problems issue issues solution solutions method
    methods process procedure rule rules option options choice choices alternative alternatives requirement
    requirements qualification qualifications skill skills job jobs career careers course courses degree degrees
    salary money cost costs price prices fee fees amount number numbers name names place places person people man men
    woman women boy boys girl girls child children kid kids student students friend friends family life death
    home house world country countries city cities year years month months week weeks day days hour hours minute
    minutes time times way ways kind kinds type types sort part parts thing things something anything nothing
    everything someone anyone everyone nobody without within during before after since until while because although
    though however whether either neither between among against through across along around behind beyond despite
    except instead per via if else not no yes why how what when where who whom whose which"""
)
