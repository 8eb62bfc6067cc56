"""Words of one kind that are never each other: products, animals, foods, sports, illnesses. Data only.

A line is one kind: its words between spaces, "_" for a space inside, "=" between names of one thing. Plurals are made.
"""

from __future__ import annotations

__all__ = ["KINDS"]

KINDS = """
language: python javascript=js typescript java c++=cpp c# golang ruby php perl kotlin scala haskell lua matlab julia
 bash=shell_script powershell sql vba fortran cobol lisp clojure elixir erlang dart pascal objective-c assembly
database: mysql postgresql=postgres mariadb mongodb=mongo sqlite redis cassandra dynamodb elasticsearch neo4j
 oracle_database couchdb influxdb snowflake bigquery firebase memcached
system: windows linux macos=mac_os=osx ubuntu debian fedora centos rhel arch_linux android ios freebsd solaris unix
cloud: aws=amazon_web_services azure gcp=google_cloud digitalocean heroku openstack
tool: docker kubernetes=k8s podman terraform ansible puppet chef jenkins gitlab github bitbucket helm nginx apache
 haproxy kafka rabbitmq prometheus grafana
framework: react=reactjs angular=angularjs vue=vuejs svelte django flask fastapi rails spring laravel symfony nextjs
 pytorch tensorflow keras numpy pandas
vendor: cisco juniper arista huawei fortinet palo_alto_networks mikrotik ubiquiti checkpoint sonicwall nokia ericsson
 zte
network: facebook instagram twitter whatsapp snapchat tiktok telegram linkedin reddit quora youtube pinterest tumblr
 skype zoom slack discord tinder wechat messenger viber
maker: apple samsung xiaomi motorola lenovo dell hp=hewlett_packard asus acer toshiba sony lg htc oneplus oppo vivo
 google microsoft amazon netflix uber tesla toyota honda ford bmw mercedes audi volkswagen nissan hyundai ferrari
 infosys tcs wipro accenture cognizant ibm oracle intel amd nvidia qualcomm flipkart paytm
phone: iphone ipad macbook pixel galaxy kindle xbox playstation=ps4=ps5 chromebook blackberry nexus
browser: chrome firefox safari opera internet_explorer microsoft_edge
mail: gmail outlook hotmail yahoo_mail protonmail
protocol: tcp udp icmp http https ftp sftp ssh telnet smtp imap pop3 dns dhcp snmp ntp ldap bgp ospf eigrp isis rip
 mpls vxlan lacp stp vrrp hsrp ipsec
animal: dog=puppy cat=kitten horse=pony cow pig goat sheep rabbit hamster guinea_pig rat mouse gerbil parrot chicken
 duck goose fish shark whale dolphin snake lizard turtle tortoise frog toad monkey chimpanzee gorilla lion tiger
 leopard cheetah bear wolf fox elephant giraffe zebra rhino hippo kangaroo koala panda camel llama bat bee wasp ant
 spider mosquito butterfly ladybug snail worm lobster crab squirrel deer moose eagle owl hawk pigeon penguin crow
 octopus ferret hedgehog alligator=crocodile
food: rice bread pasta yogurt=yoghurt cheese butter milk cream egg bacon ham beef pork lamb liver tuna salmon shrimp
 chocolate honey sugar salt pepper garlic onion tomato potato carrot broccoli spinach lettuce cucumber cabbage celery
 mushroom corn bean pea lentil tofu peanut almond walnut cashew banana grape strawberry blueberry raspberry cherry
 peach pear plum mango pineapple watermelon lemon lime coconut avocado cereal oatmeal popcorn pizza sushi tea coffee
 beer wine vodka whiskey juice soda cinnamon ginger turmeric vinegar mayonnaise ketchup mustard apple fish chicken
 duck noodle sausage steak salad soup sandwich burger pancake waffle cake cookie pie hummus quinoa oats raisin kiwi
sport: football=soccer basketball baseball cricket tennis volleyball hockey ice_hockey rugby rugby_union rugby_league
 golf badminton boxing swimming wrestling handball water_polo lacrosse chess judo karate
illness: diabetes asthma cancer malaria influenza=flu pneumonia tuberculosis measles hepatitis hiv=aids arthritis
 migraine epilepsy dementia alzheimer's=alzheimers parkinson's=parkinsons depression anxiety anemia eczema psoriasis
 acne bronchitis covid ebola cholera dengue typhoid chickenpox mumps hypertension stroke gout lupus leukemia
drug: aspirin ibuprofen paracetamol=acetaminophen=tylenol naproxen metformin insulin lisinopril atorvastatin
 simvastatin amoxicillin penicillin prednisone warfarin xarelto lovenox omeprazole sertraline fluoxetine xanax valium
 adderall codeine morphine tramadol gabapentin clonidine losartan
organ: heart kidney lung brain stomach skin knee shoulder elbow ankle wrist hip neck
relative: mother=mom=mum father=dad brother sister son daughter wife husband grandmother=grandma grandfather=grandpa
 uncle aunt nephew niece boyfriend girlfriend
faith: christianity=christian islam=muslim hinduism=hindu buddhism=buddhist judaism=jewish=jew sikhism=sikh
 jainism=jain
planet: venus mars jupiter saturn uranus neptune pluto mercury
element: hydrogen helium lithium carbon nitrogen oxygen sodium aluminium=aluminum silicon phosphorus sulfur=sulphur
 chlorine potassium calcium iron copper zinc silver gold tin uranium titanium nickel
instrument: piano guitar violin cello flute drum trumpet saxophone clarinet harp ukulele banjo
subject: physics chemistry biology mathematics=maths=math history geography economics philosophy psychology sociology
 astronomy geology law medicine accounting
engineering: mechanical_engineering civil_engineering electrical_engineering chemical_engineering computer_engineering
 software_engineering aerospace_engineering computer_science petroleum_engineering
exam: gre gmat sat toefl ielts gate neet jee upsc ssc lsat mcat clat
card: visa mastercard amex=american_express paypal venmo ach wire sepa zelle
currency: dollar euro pound_sterling yen rupee bitcoin ethereum litecoin peso franc rouble=ruble yuan
weekday: monday tuesday wednesday thursday friday saturday sunday
operation: create rename move copy undo=revert squash rebase merge restart=reboot restore truncate sort shuffle
 reverse clone fork reload drop backup=back_up
cooking: bake boil fry grill steam roast
deal: buy=purchase=buying=purchasing sell=selling rent=renting lease=leasing
request: cancel=cancelling=canceling renew=renewing postpone=postponing
measure: length width height depth weight area volume population temperature speed density pressure humidity salary
 distance duration voltage mass acceleration momentum circumference perimeter radius diameter thickness
aspect: symptom cause=reason treatment=cure=remedy=treat diagnosis=diagnose prevention=prevent side_effect dosage=dose
 complication benefit danger=risk
attribute: capital currency president mayor king queen prime_minister governor flag anthem
role: ceo founder owner director author actor actress coach captain vice_president=vice-president
business: revenue profit=earnings market_share headcount share_price
period: quarter half overtime
season: spring summer autumn=fall winter
class_of_travel: business_class economy_class first_class coach
tier: basic premium platinum
field: web_design graphic_design game_development web_development machine_learning deep_learning data_science
 cyber_security artificial_intelligence blockchain
body: leg arm stomach face neck chest foot=feet hand finger toe nose ear eye tooth=teeth hair skin nail bone muscle
 lip scalp
structure: tuple set array dictionary=dict linked_list hashmap=hash_map stack queue heap tree graph dataframe
number_type: int=integer float double long char string=str boolean=bool
statistic: mean median mode variance standard_deviation
shape: circle square triangle rectangle sphere cube cylinder cone pentagon hexagon ellipse
text: poem story essay letter song speech haiku novel resume=cv cover_letter limerick tweet press_release
contact: mute block unfriend unfollow archive
vehicle: bus train plane=airplane=aeroplane car=automobile taxi=cab ferry bike=bicycle=cycle subway=metro tram ship
 truck=lorry motorcycle=motorbike scooter helicopter
way_of_travel: fly drive walk sail hike
device: router switch modem firewall printer scanner laptop tablet server monitor keyboard webcam load_balancer
 access_point
material: cotton silk wool leather wood metal plastic glass marble granite concrete linen suede velvet steel rubber
 ceramic
complaint: headache stomachache=stomach_ache toothache=tooth_ache backache=back_pain fever cough rash nausea
 diarrhea=diarrhoea constipation heartburn insomnia dizziness sore_throat hiccup
blood: blood_pressure blood_sugar=glucose cholesterol heart_rate
point: boiling_point freezing_point melting_point
tax: income_tax sales_tax capital_gains_tax property_tax vat inheritance_tax capital_gains
redress: refund replacement exchange
luggage: carry_on checked hand_luggage
creation: wrote=written=writes=write sang=sung=sings=sing composed=composes directed=directs=direct produced=produces
 painted=paints designed=designs
room: kitchen bathroom bedroom garage basement attic living_room
meal: breakfast lunch dinner brunch
application: excel word powerpoint outlook photoshop illustrator teams onenote google_docs google_sheets
person: teacher doctor nurse lawyer engineer pilot plumber electrician dentist chef accountant architect
plant: rose tulip orchid lavender cactus oak pine maple bamboo sunflower
paper: passport driver's_license=driving_licence=driving_license birth_certificate id_card
nutrient: protein fat fiber=fibre carbohydrate=carb sodium cholesterol potassium magnesium
metric: uptime cpu memory=ram disk bandwidth latency throughput packet_loss
car: suv sedan hatchback pickup convertible minivan coupe
wave: light sound
state: pregnancy=pregnant breastfeeding=lactation
part: battery strap screen=display charger lens keyboard hinge camera speaker microphone
"""
