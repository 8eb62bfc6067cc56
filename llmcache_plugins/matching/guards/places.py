"""Names of places: countries with what belongs to them, states and provinces, cities. Data only.

Names of one place stand between bars, the first one is what it is called here; "_" is a space. Adjectives and names of
languages count as their country: "French wine" is wine of France. Left out are names that are common words or names of
people as often (Chad, Jordan, Nice, Phoenix).
"""

from __future__ import annotations

__all__ = ["CITIES", "COUNTRIES", "STATES"]

COUNTRIES = """
us usa u.s u.s.a united_states united_states_of_america america american americans
|uk u.k united_kingdom britain great_britain british|england englishman|english|scotland scottish scots|wales welsh
|ireland irish|france french frenchman|germany german germans|italy italian italians|spain spanish spaniard spaniards
|portugal portuguese|netherlands holland dutch|belgium belgian|luxembourg|switzerland swiss|austria austrian
|denmark danish danes|sweden swedish swedes|norway norwegian norwegians|finland finnish finns|iceland icelandic
|poland polish|czech_republic czechia czech|slovakia slovak|slovenia slovenian slovene|hungary hungarian
|romania romanian|bulgaria bulgarian|greece greek greeks|cyprus cypriot|malta maltese|croatia croatian|serbia serbian
|bosnia bosnian|montenegro|albania albanian|north_macedonia macedonia|kosovo|moldova moldovan|ukraine ukrainian
|belarus belarusian|russia russian russians|ussr soviet soviet_union|lithuania lithuanian|latvia latvian
|estonia estonian|georgia georgian|armenia armenian|azerbaijan azerbaijani|kazakhstan kazakh|uzbekistan uzbek
|turkmenistan|kyrgyzstan|tajikistan|turkey turkish turks|iran iranian iranians persian|iraq iraqi|syria syrian
|lebanon lebanese|israel israeli israelis|palestine palestinian|saudi_arabia saudi saudis|yemen yemeni|oman omani
|qatar qatari|uae united_arab_emirates emirati|kuwait kuwaiti|bahrain bahraini|egypt egyptian|libya libyan
|tunisia tunisian|algeria algerian|morocco moroccan|sudan sudanese|south_sudan|ethiopia ethiopian|eritrea
|somalia somali|kenya kenyan|uganda ugandan|tanzania tanzanian|rwanda rwandan|burundi|congo congolese
|cameroon cameroonian|nigeria nigerian nigerians|niger|ghana ghanaian|ivory_coast|senegal senegalese|mali malian
|gambia|guinea|liberia liberian|sierra_leone|togo|benin|burkina_faso|gabon|angola angolan|zambia zambian
|zimbabwe zimbabwean|malawi|mozambique|botswana|namibia|south_africa south_african|lesotho|madagascar|mauritius
|seychelles|india indian indians|pakistan pakistani pakistanis|bangladesh bangladeshi|nepal nepali nepalese|bhutan
|sri_lanka sri_lankan|maldives|afghanistan afghan|china chinese|hong_kong|taiwan taiwanese|macau|mongolia mongolian
|north_korea north_korean|south_korea south_korean korean|japan japanese|vietnam vietnamese|thailand thai
|cambodia cambodian|laos|myanmar burma burmese|malaysia malaysian|singapore singaporean|indonesia indonesian
|philippines philippine filipino filipinos|brunei|east_timor|australia australian australians|new_zealand
|papua_new_guinea|fiji|samoa|tonga|vanuatu|canada canadian canadians|mexico mexican mexicans|guatemala|belize|honduras
|el_salvador|nicaragua|costa_rica|panama|cuba cuban|jamaica jamaican|haiti haitian|dominican_republic|puerto_rico
|trinidad|bahamas|barbados|colombia colombian|venezuela venezuelan|guyana|suriname|ecuador ecuadorian|peru peruvian
|bolivia bolivian|brazil brazilian brazilians|paraguay|uruguay|argentina argentinian argentine|chile chilean
|world|eu european_union|europe european europeans|asia asian asians|africa african africans|south_america|north_america
|latin_america|middle_east|antarctica|greenland|scandinavia|caribbean|schengen_area schengen
"""

STATES = """
alabama|alaska|arizona|arkansas|california californian|colorado|connecticut|delaware|florida|hawaii|idaho|illinois
|indiana|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|minnesota|mississippi|missouri|montana
|nebraska|nevada|new_hampshire|new_jersey|new_mexico|north_carolina|north_dakota|ohio|oklahoma|oregon|pennsylvania
|rhode_island|south_carolina|south_dakota|tennessee|texas texan|utah|vermont|virginia|west_virginia|wisconsin|wyoming
|washington_state|ontario|quebec|british_columbia|alberta|manitoba|saskatchewan|nova_scotia|new_south_wales|queensland
|tasmania|bavaria|saxony|hesse|catalonia|andalusia|normandy|brittany|tuscany|sicily|sardinia|lombardy|crimea|siberia
|maharashtra|karnataka|kerala|tamil_nadu|gujarat|rajasthan|punjab|haryana|bihar|uttar_pradesh|madhya_pradesh
|andhra_pradesh|telangana|west_bengal|odisha orissa|assam|jharkhand|chhattisgarh|uttarakhand|himachal_pradesh|goa
|jammu_and_kashmir kashmir|manipur|meghalaya|mizoram|nagaland|sikkim|tripura|sindh|balochistan|tibet|xinjiang
|guangdong|sichuan|okinawa|hokkaido|bali|sumatra
"""

CITIES = """
new_york new_york_city new_york_state nyc|los_angeles|chicago|houston|philadelphia|san_antonio|san_diego|dallas|austin
|san_jose|fort_worth|jacksonville|columbus|charlotte|indianapolis|san_francisco|seattle|denver|boston|detroit|nashville|memphis
|portland|las_vegas vegas|baltimore|milwaukee|albuquerque|tucson|fresno|sacramento|kansas_city|atlanta|omaha|miami
|oakland|minneapolis|tulsa|cleveland|new_orleans|tampa|honolulu|st_louis st._louis|pittsburgh|cincinnati|orlando
|newark|salt_lake_city|raleigh|richmond|anchorage|boise|hartford|palo_alto|burbank|tacoma|oakland
|washington washington_dc washington_d.c|toronto|montreal|vancouver|calgary|edmonton|ottawa|winnipeg|london|manchester
|birmingham|liverpool|leeds|glasgow|edinburgh|bristol|cardiff|belfast|dublin|oxford|cambridge|paris|marseille|lyon
|toulouse|bordeaux|lille|strasbourg|nantes|berlin|hamburg|munich|frankfurt|stuttgart|dusseldorf düsseldorf|leipzig
|dresden|hanover|nuremberg|bremen|bonn|vienna|salzburg|zurich zürich|geneva|basel|bern|rome|milan|naples|turin
|florence|venice|bologna|palermo|genoa|verona|madrid|barcelona|valencia|seville|bilbao|malaga|lisbon|porto|amsterdam
|rotterdam|the_hague|utrecht|brussels|antwerp|ghent|bruges|copenhagen|stockholm|gothenburg|oslo|bergen|helsinki
|reykjavik|warsaw|krakow|gdansk|wroclaw|prague|brno|bratislava|budapest|bucharest|sofia|athens|thessaloniki|belgrade
|zagreb|ljubljana|sarajevo|skopje|tirana|kyiv kiev|lviv|odessa|minsk|moscow|saint_petersburg st_petersburg|vilnius
|riga|tallinn|istanbul|ankara|izmir|tbilisi|yerevan|baku|tehran|baghdad|damascus|beirut|jerusalem|tel_aviv|amman
|riyadh|jeddah|mecca|medina|dubai|abu_dhabi|doha|muscat|cairo|alexandria|tripoli|tunis|algiers|casablanca|marrakesh
|khartoum|addis_ababa|nairobi|mombasa|kampala|dar_es_salaam|kigali|kinshasa|lagos|abuja|accra|dakar|luanda|lusaka
|harare|johannesburg|cape_town|durban|pretoria|mumbai bombay|delhi new_delhi|bangalore bengaluru|hyderabad
|chennai madras|kolkata calcutta|pune|ahmedabad|surat|jaipur|lucknow|kanpur|nagpur|indore|bhopal|patna|vadodara|agra
|varanasi|chandigarh|gurgaon gurugram|noida|kochi cochin|mysore|coimbatore|visakhapatnam vizag|karachi|lahore
|islamabad|rawalpindi|dhaka|kathmandu|colombo|kabul|beijing peking|shanghai|guangzhou|shenzhen|chengdu|wuhan|tianjin
|nanjing|hangzhou|xian|chongqing|taipei|ulaanbaatar|pyongyang|seoul|busan|tokyo|osaka|kyoto|yokohama|nagoya|sapporo
|fukuoka|hiroshima|nagasaki|hanoi|ho_chi_minh_city saigon|bangkok|phuket|phnom_penh|vientiane|yangon|kuala_lumpur
|jakarta|surabaya|manila|cebu|sydney|melbourne|brisbane|perth|adelaide|canberra|auckland|wellington|mexico_city
|guadalajara|monterrey|tijuana|havana|kingston|port-au-prince|san_juan|bogota|medellin|caracas|quito|la_paz|brasilia
|sao_paulo são_paulo|rio_de_janeiro rio|salvador|buenos_aires|cordoba|rosario|montevideo|santiago|asuncion
"""
