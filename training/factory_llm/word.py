"""What people name in requests: open vocabularies, each with a way to make names that no list holds."""

from __future__ import annotations

import random

from training.factory_llm import value

FIRST = """ana ben carla david elena farid grace hugo ines jonas karim lena marco nadia omar priya quentin rosa sven tara uma victor wendy xavier yara zoe
mehmet ayse fatma emre yusuf zeynep mohammed ahmed fatima layla hassan youssef amina khalid noor ibrahim chidi ngozi amara kwame abena kofi zanele thabo sipho lerato
wei mei li xiu jing hiroshi yuki sakura kenji haruto aiko min-jun ji-woo soo-jin hyun nguyen linh minh thuy anh duc raj arjun ananya deepak sunita vikram lakshmi kiran aarav
olga ivan dmitri natasha svetlana boris piotr agnieszka kasia wojtek jan katarzyna milos jovana ana-maria andrei ioana bogdan istvan eszter gabor zsofia
lars ingrid bjorn astrid freya soren mikkel anneke pieter femke joost maarten sanne giulia luca francesca matteo chiara paolo alessandro beatriz joao rafaela thiago mateus
camila diego sofia santiago valentina javier lucia pablo carmen alejandro maria jose juan pierre amelie chloe luc celine mathieu elodie hans greta klaus heidi jurgen anja
john mary james linda mike sarah tom emma dave kate steve lucy chris laura matt anna paul jen mark beth sam alex max leo mia ella noah liam oliver sophie jack charlotte harry
amelia george isla ryan kevin brian jessica ashley megan hannah rachel becky josh andy rob bill joe nick dan tim greg phil jake luke adam simon peter fiona siobhan niamh cillian
aoife saoirse rhys cerys angus morag hamish ewan tamsin imogen nigel gareth trevor keith barry gary doris mabel ethel winston leroy denzel shaniqua tyrone jamal keisha latoya
nani keoni leilani malia sione tevita mere hemi aroha wiremu tane esi yaw nia juma wanjiru otieno achieng makena tariq samira rania omid parisa shirin dariush reza nasrin
avi noa eitan shira moshe rivka yael tamar levon ani gor nino giorgi tamara aizhan nursultan bat-erdene suda somchai ploi putri budi siti agus dewi jose-luis inigo aitor maite
ahsan sana bilal hira usman zara imran mustafa emir elif deniz selin pelin cem burak ozgur hakan gul tuncay ilkay lidia rui tiago goncalo""".split()
LAST = """smith jones patel nguyen garcia kim lee wang chen singh khan ali hussein okafor adeyemi mensah dlamini van dijk jansen muller schmidt schneider weber rossi ferrari bianchi silva
santos oliveira pereira fernandez gonzalez rodriguez lopez martinez hernandez kowalski nowak wisniewski ivanov petrov popescu nagy horvath novak svoboda yilmaz kaya demir sato suzuki tanaka
o'brien murphy kelly walsh macdonald campbell stewart evans davies thomas roberts williams johnson brown taylor wilson anderson thompson white martin baker carter morgan bell cooper ward
dubois moreau laurent lefebvre hansen nielsen johansson lindqvist korhonen virtanen haddad nasser rahman chowdhury iyer banerjee kapoor fitzgerald""".split()
_SYLLABLES = """ba be bi bo bra ka ke ki ko kra la le li lo lu ma me mi mo na ne ni no nu ra re ri ro sa se si so ta te ti to tra va ve vi vo za zu zo da de di do du ga go gri ha he hi jo ju pa pe po
qua sha she tho thi wa we wi ya yo yu xa xi cha chi el an or il us en um ar in on""".split()
RELATIONS = """mum/mom/dad/mother/father/my mum/my mom/my dad/my mother/my father/my wife/my husband/my sister/my brother/my boss/my dentist/my doctor/my landlord/my roommate/my flatmate/my girlfriend/my boyfriend/my partner/my son/my daughter/my therapist/my lawyer/my accountant/my manager/my neighbour/my neighbor/my uncle/my aunt/my cousin/my grandma/my grandmother/my grandpa/my best friend/my mother in law/my physio/my vet/my mechanic/my hairdresser/my barber/my coach/my teacher/my tutor/my team/my wife's office/my little brother/my big sister/my agent/my babysitter/my gp/mama/papa/mummy/daddy/grandma/grandpa/granny/nana/gran/auntie/the plumber/the electrician/the office/the dentist/the doctor/the school/the vet/the landlord/the bank/the babysitter/the garage/the neighbours/the restaurant/the front desk/the team/the family group/the group chat/reception/the kids/work/home/voicemail/the nanny/the pharmacy/the hospital/the taxi company/the insurance company/the pizza place/the hairdresser/customer service/the gardener/the cleaner/the building manager/the insurance people/the dog walker/the childminder/my stepdad/my niece/my nephew/my supervisor/my fiancee/my ex/my dad's mobile/mom's cell/my optician/the car rental/the airline/the swim coach/emergency services/911/112/999""".split("/")
TITLES = "dr/doctor/mr/mrs/ms/professor/aunt/uncle/auntie/coach/miss/cousin/father/sister/captain/chef/officer/mr./dr./mrs.".split("/")
FOODS = """milk/bread/eggs/butter/cheese/rice/pasta/tomatoes/onions/garlic/potatoes/carrots/apples/bananas/oranges/lemons/limes/grapes/strawberries/blueberries/avocados/lettuce/spinach/kale/broccoli/cucumber/peppers/mushrooms/courgettes/zucchini/aubergine/eggplant/chicken/chicken breasts/ground beef/beef mince/bacon/ham/salmon/tuna/shrimp/prawns/tofu/tempeh/yogurt/greek yoghurt/sour cream/cream/oat milk/almond milk/soy milk/coconut milk/orange juice/apple juice/sparkling water/coffee/coffee beans/tea/tea bags/green tea/sugar/brown sugar/flour/self raising flour/baking powder/salt/pepper/olive oil/vegetable oil/vinegar/soy sauce/ketchup/mustard/mayo/hot sauce/honey/jam/peanut butter/nutella/cereal/granola/oats/crackers/chips/crisps/chocolate/dark chocolate/cookies/biscuits/ice cream/frozen peas/frozen pizza/hummus/tortillas/naan/bagels/croissants/sourdough/pita bread/wine/red wine/beer/a bottle of white wine/gin/tonic water/toilet paper/toilet roll/paper towels/kitchen roll/dish soap/washing up liquid/laundry detergent/bin bags/trash bags/aluminium foil/cling film/toothpaste/toothbrushes/shampoo/conditioner/soap/hand soap/deodorant/razors/nappies/diapers/baby wipes/cat food/dog food/cat litter/batteries/aa batteries/light bulbs/candles/matches/lentils/chickpeas/black beans/kidney beans/couscous/quinoa/noodles/ramen/fish sauce/ginger/coriander/cilantro/basil/parsley/mint/thyme/cumin/paprika/turmeric/cinnamon/vanilla extract/maple syrup/raisins/almonds/walnuts/cashews/feta/mozzarella/parmesan/halloumi/cottage cheese/sausages/turkey/lamb chops/cod/kimchi/miso paste/tahini/pomegranate/mangoes/pineapple/watermelon/pears/peaches/plums/kiwis/celery/leeks/cabbage/cauliflower/sweet potatoes/corn/asparagus/beetroot/radishes/sponges/bleach/hand sanitizer/vitamins/ibuprofen/plasters/band aids/sunscreen/tampons/dishwasher tablets/a birthday card/wrapping paper/stamps/printer paper/a phone charger/socks/a new toothbrush/dog treats/bird seed/charcoal/ice/lemonade/cola/diet coke/ginger beer/kombucha/popcorn/marshmallows/protein bars/gluten free bread/lactose free milk/free range eggs/basmati rice/a dozen eggs/two lemons/three onions/6 eggs/a loaf of bread/2 litres of milk/a bag of potatoes/a pound of ground beef/500 grams of flour/a can of beans/two cans of tomatoes/a jar of pickles/a bunch of bananas/10 limes/four avocados/a pack of gum/a six pack of beer/half a kilo of cheese/semi skimmed milk/sea salt/bay leaves/anchovies/capers/plantains/cassava/okra/paneer/ghee/curry leaves/injera/za'atar/pumpkin seeds""".split("/")
CHORES = """clean the bathroom/mow the lawn/wash the car/vacuum the living room/fix the leaky tap/water the plants/do the laundry/call the bank/pay rent/renew passport/book dentist appointment/file taxes/return library books/finish the report/clean the garage/walk the dog/take out the trash/iron shirts/paint the fence/change the sheets/sweep the porch/buy a gift for mum/update cv/backup laptop/cancel gym membership/organize closet/descale the kettle/rake leaves/feed the fish/sort the recycling/send invoices/email the landlord/sew on the button/sharpen knives/read chapter four/defrost the freezer/oil the hinges/hang the shelves""".split("/")
LISTS = """shopping/grocery/groceries/to-do/to do/todo/packing/wish/christmas/gift/party/hardware store/costco/work/chores/reading/bucket/camping/pharmacy/household/movie/watch/birthday/errands/cleaning/weekend/diy/target/ikea/holiday/baby/school/bbq/supermarket/picnic/travel/books/music/home depot/wedding/garden/medicine/dinner party/market/tesco/food/moving/beach/guest/office supplies""".split("/")
PLAIN_LISTS = "shopping/grocery/groceries/to-do/to do/todo/shopping/grocery/shopping/packing".split("/")
ROOMS = """bedroom/living room/kitchen/bathroom/hallway/office/garage/basement/attic/porch/dining room/guest room/nursery/study/hall/patio/garden/backyard/balcony/laundry room/den/kids room/master bedroom/upstairs/downstairs/entryway/front room/lounge/conservatory/shed/workshop/stairs/landing/pantry/closet/playroom/media room/spare room/utility room/cellar/sunroom/driveway/ensuite/loft/library/mud room/studio/kids'""".split("/")
THINGS = """lamp/light/lights/fan/tv/television/telly/heater/air conditioner/ac/speaker/radio/ceiling fan/ceiling light/floor lamp/desk lamp/humidifier/dehumidifier/air purifier/coffee maker/coffee machine/kettle/vacuum/robot vacuum/sprinklers/outlet/plug/smart plug/switch/string lights/fairy lights/christmas lights/night light/led strip/spotlights/chandelier/bedside lamp/reading lamp/wall lights/extractor fan/towel rail/electric blanket/space heater/oven/dishwasher/washing machine/dryer/tumble dryer/hot tub/pool pump/fountain/projector/soundbar/monitor/printer/router/camera/security camera/doorbell/boiler/water heater/fireplace/aquarium light/grow light/rice cooker/slow cooker/toaster/stereo/console/playstation/xbox/screen/big light/main light/side lamp/standing lamp/lava lamp/salt lamp/underfloor heating/immersion heater/dehumidifer/porch light/strip light/downlights/sconces/uplighter/mood lights/blue lamp/left lamp/table lamp/outside lights/garden lights/pump/wifi/bluetooth/do not disturb/airplane mode/flashlight/torch/hotspot""".split("/")
DIMMABLE = "lamp/light/lights/ceiling light/lights/lights/desk lamp/floor lamp/spotlights/chandelier/bedside lamp/fan/night light/led strip/screen/big light/main light/strip lights/fairy lights/dimmer/wall lights/standing lamp/uplighter".split("/")
APPS = """calculator/camera/calendar/maps/google maps/spotify/netflix/youtube/whatsapp/instagram/facebook/twitter/tiktok/gmail/mail/email/photos/gallery/settings/notes/clock/weather/browser/chrome/firefox/safari/word/excel/powerpoint/slack/teams/zoom/skype/telegram/signal/messenger/snapchat/reddit/linkedin/amazon/ebay/uber/lyft/duolingo/headspace/strava/fitbit/kindle/audible/podcasts/music/files/finder/terminal/photoshop/paint/notepad/contacts/phone/messages/wallet/bank app/banking app/health/fitness/steam/discord/twitch/pinterest/airbnb/booking/tripadvisor/shazam/soundcloud/deezer/tidal/disney plus/hulu/prime video/hbo/vlc/dropbox/google drive/onedrive/evernote/notion/trello/asana/todoist/app store/play store/file manager/voice recorder/compass/translate/google translate/waze/citymapper/revolut/paypal/venmo/monzo/outlook/thunderbird/visual studio code/vs code/obsidian/figma/garageband/imovie/candy crush/minecraft/chess/wordle/sudoku/solitaire/the sims/pokemon go/my banking app/fitness tracker/document scanner/qr scanner/task manager/control panel/device manager/libreoffice/gimp/blender/audacity/bereal/threads/vinted/too good to go/komoot/anki/goodreads/letterboxd/bandcamp/xcode/android studio/keynote/preview/system preferences/weather app/train app/parking app""".split("/")
SONGS = """bohemian rhapsody/thriller/imagine/hey jude/yesterday/hotel california/stairway to heaven/purple rain/billie jean/smells like teen spirit/wonderwall/rolling in the deep/shape of you/blinding lights/bad guy/despacito/africa/take on me/dancing queen/waterloo/superstition/respect/what's going on/space oddity/heroes/under pressure/creep/karma police/clocks/yellow/mr brightside/seven nation army/crazy in love/halo/umbrella/firework/shake it off/all too well/hello/someone like you/bad romance/poker face/uptown funk/happy/get lucky/one more time/sandstorm/wake me up/levels/clair de lune/moonlight sonata/the four seasons/fur elise/bolero/la vie en rose/volare/la bamba/guantanamera/besame mucho/feeling good/summertime/take five/so what/autumn leaves/fly me to the moon/my way/jolene/ring of fire/country roads/sweet caroline/wish you were here/time/money/black/even flow/enter sandman/master of puppets/no woman no cry/redemption song/three little birds/lean on me/lovely day/september/as it was/watermelon sugar/flowers/running up that hill/don't stop me now/i will always love you/like a prayer/vogue/the boys of summer/eye of the tiger/baby shark/let it go/the wheels on the bus""".split("/")
ARTISTS = """nina simone/the beatles/queen/abba/taylor swift/beyonce/drake/adele/radiohead/pink floyd/led zeppelin/nirvana/oasis/blur/coldplay/muse/arctic monkeys/the rolling stones/david bowie/prince/michael jackson/madonna/stevie wonder/aretha franklin/bob marley/bob dylan/johnny cash/dolly parton/elvis/frank sinatra/ella fitzgerald/louis armstrong/miles davis/john coltrane/bill evans/chet baker/billie holiday/mozart/bach/beethoven/chopin/debussy/vivaldi/satie/ludovico einaudi/hans zimmer/daft punk/aphex twin/bonobo/massive attack/portishead/bjork/sigur ros/fela kuti/burna boy/wizkid/tinariwen/ali farka toure/cesaria evora/buena vista social club/rosalia/bad bunny/shakira/caetano veloso/gilberto gil/stromae/edith piaf/rammstein/kraftwerk/bts/blackpink/newjeans/a r rahman/nusrat fateh ali khan/ravi shankar/metallica/iron maiden/slipknot/kendrick lamar/eminem/jay z/frank ocean/billie eilish/lana del rey/lorde/dua lipa/harry styles/ed sheeran/bruno mars/the weeknd/rihanna/lady gaga/fleetwood mac/simon and garfunkel/joni mitchell/leonard cohen/nick cave/the cure/depeche mode/new order/joy division/talking heads/the clash/sade/lauryn hill/erykah badu/khruangbin/tame impala/phoebe bridgers/hozier/tom waits/amy winehouse""".split("/")
GENRES = """jazz/rock/classical music/hip hop/lo-fi beats/lofi/reggae/techno/house music/country music/blues/soul/funk/metal/punk/indie/folk/ambient music/rain sounds/white noise/whale sounds/ocean waves/christmas music/christmas carols/80s hits/90s hits/seventies disco/k-pop/latin music/salsa/bossa nova/afrobeats/opera/piano music/gospel/bluegrass/drum and bass/trance/film soundtracks/kids songs/nursery rhymes/lullabies/workout music/party music/dinner music/relaxing music/study music/sleep sounds/meditation music/french chansons/flamenco/samba/grime/synthwave/shoegaze/ska/swing/big band/acoustic covers/chill music/something relaxing/something upbeat/old school rap/sad songs/happy songs/driving songs/yoga music/celtic music/thunderstorm sounds""".split("/")
SHOWS = """the daily/this american life/radiolab/serial/my favourite podcast/the news/bbc radio 4/npr/radio paradise/classic fm/kexp/the archers/my discover weekly/my workout playlist/my running playlist/my liked songs/my road trip playlist/my chill playlist/the hamilton soundtrack/the frozen soundtrack/harry potter audiobook/the hobbit audiobook/stranger things/the office/friends/planet earth/the crown/breaking bad/peppa pig/bluey/the lion king/a movie/the latest episode of serial/my audiobook/my podcast/the morning playlist/capital fm/radio 1/the latest album by adele/the moana soundtrack/top hits/today's top songs/the new billie eilish album/my favourite song/my favorite playlist""".split("/")
PLACES = """home/work/the airport/the train station/the nearest pharmacy/the nearest petrol station/the nearest gas station/the closest supermarket/the hospital/the city centre/downtown/central park/times square/the eiffel tower/big ben/the louvre/the british museum/the beach/the mall/the gym/the library/the office/my office/my house/mom's house/grandma's/the post office/the bank/an atm/the nearest atm/a coffee shop/the nearest coffee shop/starbucks/mcdonald's/ikea/costco/tesco/aldi/walmart/target/home depot/whole foods/the university/my hotel/the hotel/the stadium/wembley stadium/heathrow/heathrow terminal 5/jfk/gatwick/the zoo/the aquarium/the cinema/the theatre/the police station/the vet/the dentist/a parking garage/the nearest ev charger/a charging station/a good thai restaurant/a pizza place/the nearest hospital/10 downing street/221b baker street/14 elm street/350 fifth avenue/42 wallaby way/1600 amphitheatre parkway/23 rue de rivoli/alexanderplatz/the brandenburg gate/la sagrada familia/the golden gate bridge/pier 39/union square/covent garden/camden market/king's cross/gare du nord/shibuya crossing/taksim square/the grand bazaar/bondi beach/table mountain/the farmers market/the nearest bakery/the closest subway station/the bus stop/the marina/the campground/the trailhead/yosemite/lake tahoe/the north entrance of the park/the old town/the school/the kids' school/the embassy/the conference centre/my parents' place/tom's house/lucy's place/the nearest toilet/the pub/the red lion/joe's diner/the ferry terminal/dock 7/gate 4/the recycling centre/the dmv/city hall/the nearest public restroom/a hardware store""".split("/")
CITIES = """london/paris/berlin/madrid/rome/lisbon/amsterdam/vienna/prague/budapest/warsaw/athens/istanbul/moscow/kyiv/stockholm/oslo/copenhagen/helsinki/dublin/edinburgh/glasgow/manchester/cardiff/new york/los angeles/chicago/houston/phoenix/seattle/boston/denver/miami/atlanta/austin/portland/san francisco/toronto/montreal/vancouver/mexico city/bogota/lima/santiago/buenos aires/sao paulo/rio de janeiro/cairo/lagos/nairobi/accra/cape town/johannesburg/casablanca/tunis/addis ababa/dubai/tel aviv/beirut/amman/tehran/baghdad/karachi/lahore/delhi/mumbai/bangalore/chennai/kolkata/dhaka/colombo/kathmandu/bangkok/hanoi/singapore/jakarta/manila/kuala lumpur/hong kong/shanghai/beijing/tokyo/osaka/kyoto/seoul/sydney/melbourne/brisbane/perth/auckland/wellington/reykjavik/zurich/geneva/milan/naples/seville/porto/lyon/marseille/munich/hamburg/cologne/brussels/krakow/iceland/scotland/spain/italy/hawaii/brighton/bristol/leeds/york/the alps/napa/cusco/oaxaca/tbilisi/yerevan/almaty/ankara/izmir/bursa/ghent/utrecht/bergen/malmo/galway/bath/the lake district/palermo""".split("/")
EVENTS = """lunch/dinner/breakfast/brunch/coffee/drinks/meeting/team meeting/standup/dentist appointment/doctor's appointment/haircut/yoga class/gym session/piano lesson/guitar lesson/swimming lesson/parents evening/parent teacher conference/birthday party/book club/date night/movie night/game night/football practice/soccer practice/job interview/interview/conference call/video call/one on one/project review/sprint planning/budget review/performance review/board meeting/vet appointment/eye test/physio/therapy/car service/mot/oil change/flight to berlin/train to paris/concert/theatre/wedding/funeral/christening/baby shower/barbecue/picnic/walk/run/tennis/badminton/squash/chess club/choir rehearsal/band practice/study group/exam/maths exam/deadline/product launch/demo/webinar/workshop/training/school play/sports day/house viewing/boiler inspection/plumber visit/delivery/blood test/vaccination/dance class/pottery class/spanish class/cooking class/quarterly review/strategy session/client call/sales pitch/photo shoot/massage/nail appointment/school run/open day/graduation/anniversary dinner/rent due/holiday/trip to rome/poker night/pub quiz/catch up/sync/retro/kickoff/site visit/hearing/council meeting/prayer group/mass/iftar/seder/diwali party/quinceanera/mum's birthday/tom's party/ana's recital/hair appointment/car inspection/mammogram/x-ray/driving test/driving lesson/parent meeting/lab tour/tax appointment/zoom call with the bank""".split("/")
_VERBS = """call/email/text/phone/ring/visit/thank/pay/invite/meet/pick up/check on/write to/apologise to/congratulate/get back to/talk to/message/remind/collect""".split("/")
_TASKS = """take out the trash/take the bins out/take my pills/take my medicine/take my medication/take the chicken out of the freezer/water the plants/feed the cat/feed the dog/walk the dog/pay the rent/pay the electricity bill/pay the gas bill/renew my passport/renew my license/book a table/book the flights/buy a birthday present/buy flowers/buy milk/buy bread/pick up the dry cleaning/pick up the kids/pick up my prescription/pick up the parcel/drop off the package/return the library books/return the shoes/cancel the subscription/cancel my gym membership/submit the report/send the invoice/send the contract/finish the presentation/review the slides/back up my laptop/charge my phone/charge the car/check the oven/turn off the oven/turn the roast/take the cake out/take the laundry out/hang the washing/do the laundry/do my homework/do the dishes/clean the kitchen/mow the lawn/wash the car/change the sheets/change the filter/check the mail/check in for my flight/pack my bag/pack sunscreen/lock the back door/close the windows/move the car/feed the parking meter/drink water/stretch/stand up/go for a run/go to the gym/go to bed/meditate/practice the piano/study for the exam/read to the kids/sign the form/sign the permission slip/order a new filter/order cat food/fix the bike/defrost the chicken/put the bins out/put the turkey in/bring an umbrella/bring the charger/bring my passport/get gas/get cash/get stamps/get a haircut/make the dentist appointment/make a doctor's appointment/schedule the vet/thank ana for the cake/wish dad a happy birthday/vote/file my taxes/register for the course/apply for the visa/reply to the landlord/reset the router/update the spreadsheet/upload the photos/print the tickets/prepare for the interview/unplug the iron/bleed the radiators/empty the dishwasher/check the tyre pressure/shut the garage/flip the mattress/give the dog his tablet/put sun cream on/test the smoke alarm/turn in the timesheet/deworm the cat/order the cake/talk to hr/rebook the flight/clean the fish tank/say happy anniversary""".split("/")
_NOTES = """the gate code changed/the wifi password is on the fridge/the car is parked on level 3/i parked in spot b12/the plumber comes next week/the spare key is under the blue pot/mia is allergic to peanuts/anniversary gift ideas a watch or a trip/the meeting went well/i owe tom twenty dollars/tom owes me 15 euros/my locker number is 218/the paint colour is dove grey/shoe size for leo is 34/the recipe needs more salt/flight number is ba 117/bin day moved to thursday/license plate is kx21 abc/book recommended by rosa the overstory/idea for the app dark mode/the doctor said to rest for two weeks/bring the blue folder/dentist recommended a softer toothbrush/left knee hurts after running/the landlord agreed to fix the boiler/electric meter reading 48213/blood pressure 120 over 80/the baby slept six hours/the new neighbour is called priya/wine was a 2018 rioja/hotel confirmation is x7k9/dog weighs 23 kilos/check engine light came on again/running shoes last about 500 miles/gift idea for dad a chess set/quote of the day less but better/the cafe on elm street closes at four/ideas for the talk start with a story/ask the builder about the roof/room 402 has the good projector/don't trust the first estimate/the cat prefers the salmon one/password hint first pet/kids' school starts at 8 45/fence needs painting before winter/remember the milk was 1.20 at aldi/printer ink is hp 305/try the ramen place on fifth/my size at zara is medium/ana likes peonies""".split("/")
_MESSAGES = """i'm running late/i'm on my way/i'll be there in ten minutes/i'll be there soon/i'm almost there/i'm outside/i'm home/i got home safe/i'm stuck in traffic/the train is delayed/i can't make it tonight/i can't come tomorrow/see you at six/see you soon/happy birthday/congratulations/good luck/thank you for dinner/thanks for everything/i love you/i miss you/good night/good morning/are you coming to dinner/are you free on friday/what time is dinner/where are you/when are you coming home/did you feed the dog/can you pick up some milk/can you pick me up at eight/can you call me back/please call me when you can/call me when you're free/don't forget the keys/don't wait up/dinner is ready/dinner's in the oven/the meeting moved to 3/the meeting is cancelled/we need to talk/i need the report by noon/i'll call you later/i'll call you tomorrow/let's meet at the cafe/let's have lunch on thursday/how was your day/how are you feeling/hope you feel better/sorry i missed your call/sorry i forgot/the package arrived/the plumber is here/the kids are asleep/the cat is at the vet/we're out of coffee/bring wine/bring an umbrella/buy bread on the way home/yes/no problem/ok/sounds good/i'm in a meeting/i'm at the airport/just landed/my phone is dying/my flight is delayed/my battery is about to die/the party starts at seven/the code is 4821/the address is 14 elm street/what do you want for dinner/we won/i passed the exam/it's a boy/i left my keys at your place/can we reschedule/can we move it to monday/i'll bring dessert/save me a seat/start without me/the door is open/turn off the oven/take the dog out/pick up the kids at four/we are meeting at the station/i agree/i'm sick today/i won't be in tomorrow/the car broke down/the wifi is down again/tell her happy birthday from me/i found your scarf/it was great to see you/thinking of you/check your email/that works for me/leaving now/just parked/bus is late again/be there in 5/running 10 mins late/grab some ice please/the eagle has landed/lunch is on me/mum says hi/no need to cook/i can cover your shift""".split("/")
_NOUNS = """blue folder/garden hose/tax form/red bicycle/spare tyre/violin/birthday cake/wool coat/tent/guest list/front tooth/window frame/boarding pass/chess clock/green sofa/hamster/drone/invoice/contract/camera lens/pasta machine/yoga mat/telescope/lawn mower/ladder/projector/tea set/sewing machine/hiking boots/old fridge""".split("/")
_LABELS = """pasta/eggs/the eggs/tea/laundry/pizza/rice/bread/cookies/the roast/chicken/the oven/dough/potatoes/coffee/nap/break/workout/plank/homework/reading/study/cake/the cake/soup/steak/meditation/yoga/brownies/the turkey/face mask/hair dye/parking/the parking meter/sourdough/french press/the kids/screen time/game/pomodoro/stretching/dishwasher/washing machine/the dryer/quiche/lasagne/lasagna/noodles/dumplings/salmon/broccoli/the beans/biscuits/pancakes/yoghurt/focus/exam/speech/interval/cooldown/veggies/muffins/frozen pizza/the sauce/porridge/ice bath/sauna/garlic bread/time out/toast/lentils/naptime/cold brew/the ribs/teeth brushing/piano practice/standup/curry/tofu""".split("/")

_TLDS = "com org net io de co.uk fr es dev eu in com.br me app".split()
_DOMAINS = "gmail.com outlook.com yahoo.com hotmail.com proton.me icloud.com example.com web.de mail.ru orange.fr fastmail.com acme.com".split()


def made_up(rng: random.Random) -> str:
    """Return a word that no list holds."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 3)))


def first(rng: random.Random) -> str:
    """Return a first name, with a capital mostly."""
    name = rng.choice(FIRST) if rng.random() < 0.7 else made_up(rng)
    return name.title()


def person(rng: random.Random) -> str:
    """Return the name of a person."""
    roll = rng.random()
    if roll < 0.68:
        return first(rng)
    if roll < 0.88:
        last = rng.choice(LAST) if rng.random() < 0.7 else made_up(rng)
        return f"{first(rng)} {last.title()}"
    if roll < 0.97:
        name = first(rng) if rng.random() < 0.4 else rng.choice(LAST).title()
        return f"{rng.choice(TITLES).capitalize()} {name}"
    return f"{first(rng)} from {rng.choice(['work', 'school', 'accounting', 'the gym', 'hr', 'next door', 'yoga', 'sales', 'church', 'marketing'])}"


def whom(rng: random.Random) -> str:
    """Return somebody to call or write to."""
    return person(rng) if rng.random() < 0.66 else rng.choice(RELATIONS)


def called(rng: random.Random) -> str:
    """Return somebody to call: a business too."""
    roll = rng.random()
    if roll < 0.88:
        return whom(rng)
    if roll < 0.95:
        return rng.choice(["pizza hut", "domino's", "the red lion", "luigi's restaurant", "city hospital", "the apple store", "sunshine nursery", f"{first(rng)}'s mobile", f"{first(rng)}'s mom", f"{made_up(rng).title()} restaurant", f"{first(rng)}'s office", f"{first(rng)} at work", f"{first(rng)} on his mobile", "costco", f"{first(rng)}'s school"])  # fmt: skip
    return value.phone(rng)


def with_whom(rng: random.Random) -> str:
    """Return who takes part in something."""
    roll = rng.random()
    if roll < 0.85:
        return whom(rng)
    return f"{first(rng)} and {first(rng)}"


def item(rng: random.Random) -> str:
    """Return what a list holds."""
    roll = rng.random()
    if roll < 0.78:
        return rng.choice(FOODS)
    if roll < 0.84:
        return f"{rng.choice(['a ', '', '', 'two ', '3 ', 'new '])}{rng.choice(_NOUNS)}"
    if roll < 0.92:
        return made_up(rng) + rng.choice(["", " cheese", " sauce", "s", " tea", " cream", " juice"])
    return f"{rng.choice(FOODS)} and {rng.choice(FOODS)}"


def chore(rng: random.Random) -> str:
    """Return something to do."""
    return rng.choice(CHORES) if rng.random() < 0.5 else task(rng)


def task(rng: random.Random) -> str:
    """Return something to be reminded of, as a verb phrase."""
    roll = rng.random()
    if roll < 0.5:
        text = rng.choice(_TASKS)
    elif roll < 0.72:
        text = f"{rng.choice(_VERBS)} {whom(rng)}"
        if rng.random() < 0.4:
            text += rng.choice([" about the ", " about the ", " for the ", " regarding the "]) + rng.choice(_NOUNS + EVENTS)
    elif roll < 0.86:
        text = f"{rng.choice('buy get order find return sell fix pack clean bring check print sign paint repair collect move wrap measure rent lend water store'.split())} {rng.choice(['the ', 'a ', 'my ', 'the ', 'some '])}{rng.choice(_NOUNS + FOODS)}"  # fmt: skip
    elif roll < 0.92:
        text = f"buy {rng.choice(FOODS)} and {rng.choice(FOODS)}"
    else:
        text = f"{rng.choice('go to prepare for sign up for get ready for leave for cancel book plan'.split(' ') if False else ['go to', 'prepare for', 'sign up for', 'get ready for', 'leave for', 'cancel', 'book', 'plan'])} {rng.choice(['the ', 'the ', 'my '])}{rng.choice(EVENTS)}"  # fmt: skip
    if rng.random() < 0.12:
        text += rng.choice([" before the meeting", " on the way home", " after work", " when i get home", " before bed", " before it rains", " for the party", " at the pharmacy", " from the store", " for school"])
    return text


def thing(rng: random.Random) -> str:
    """Return something to be reminded of, as a noun."""
    roll = rng.random()
    if roll < 0.6:
        return ("the " if rng.random() < 0.5 else "my ") + rng.choice(EVENTS)
    return "the " + rng.choice(_NOUNS)


def note(rng: random.Random) -> str:
    """Return what a note says."""
    roll = rng.random()
    if roll < 0.5:
        return rng.choice(_NOTES)
    if roll < 0.65:
        return task(rng)
    if roll < 0.8:
        return f"the {rng.choice(_NOUNS)} {rng.choice(['is in the', 'belongs in the', 'goes in the', 'is under the', 'was moved to the', 'stays in the'])} {rng.choice(ROOMS)}"
    if roll < 0.9:
        return f"{first(rng)} {rng.choice(['likes', 'hates', 'wants', 'needs', 'borrowed', 'is allergic to', 'prefers', 'recommended', 'has', 'lost'])} {rng.choice(['', 'the ', 'a '])}{rng.choice(_NOUNS + FOODS)}"  # fmt: skip
    return f"{rng.choice(_NOUNS)} {rng.choice(['costs', 'number is', 'code is', 'is', 'arrived', 'broke', 'needs'])} {rng.randint(2, 999)}"


_PERSONAL = """i lent my drill to sam/i parked near the lift/my seat is in row nine/my blood type is o negative/we agreed on blue tiles/i prefer the aisle seat/my new pin hint is the old house/i left the umbrella at the office/we should try that bakery/i gave the keys to the neighbour/my flight lands at terminal two/i finished chapter nine/we need a bigger table/i promised mia a bike/my bus is number 42/i owe rosa lunch/our anniversary is in june/i felt dizzy after the run/my visa runs out in 2029/i slept badly/we paid the deposit/i put the receipt in the drawer/my trainer is called luis/i saw a nice lamp at ikea/we ran out of paint/i changed the filter in april/the doctor said two drops a day/the roof was fixed in may/the garage code is 8812/the ferry was an hour late/the hall has no heating/the shop closes at six on sundays/the second coat needs four hours/the neighbours are away until friday/don't trust the cheap batteries/try the other cable/green paint for the fence/ask about the warranty/less salt next time/the best seats are in row f""".split("/")


def personal(rng: random.Random) -> str:
    """Return what somebody notes of their own life."""
    roll = rng.random()
    if roll < 0.5:
        return rng.choice(_PERSONAL)
    if roll < 0.65:
        return f"i {rng.choice(['lent', 'gave', 'sold', 'showed', 'sent', 'promised'])} {rng.choice(['my', 'the', 'a'])} {rng.choice(_NOUNS)} to {whom(rng)}"
    if roll < 0.8:
        return f"my {rng.choice([*_NOUNS, 'seat', 'room', 'bus', 'code', 'size', 'number', 'gate', 'desk', 'table'])} is {rng.choice(['number ', '', 'in the ', 'at '])}{rng.choice([str(rng.randint(2, 900)), rng.choice(ROOMS), made_up(rng)])}"
    return f"{whom(rng)} {rng.choice(['prefers', 'said', 'wants', 'recommended', 'asked for', 'is away until', 'lives near', 'likes'])} {rng.choice(['the ' + rng.choice(_NOUNS), rng.choice(FOODS), made_up(rng), value.on_day(rng), rng.choice(CITIES)])}"


_QUESTIONS = ("are ", "where ", "what ", "when ", "did ", "can ", "could ", "how ", "is ", "do ", "will ")


def message(rng: random.Random) -> str:
    """Return what a message says."""
    text = _message(rng)
    return text + "?" if text.startswith(_QUESTIONS) and rng.random() < 0.4 else text


def _message(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.62:
        return rng.choice(_MESSAGES)
    if roll < 0.72:
        return f"i'll be {rng.choice(['there', 'home', 'back', 'late', 'ready', 'done'])} {rng.choice(['in ' + value.duration(rng), 'at ' + value.clock(rng), 'by ' + value.clock(rng), value.bare_day(rng)])}"
    if roll < 0.82:
        return f"{rng.choice(['can you', 'could you', 'please', 'dont forget to', 'you need to', 'remember to', 'i forgot to', 'i have to', 'we should'])} {task(rng)}"
    if roll < 0.9:
        return f"the {rng.choice(_NOUNS + EVENTS)} {rng.choice(['is ready', 'is cancelled', 'arrived', 'was great', 'is on the table', 'starts at ' + value.clock(rng), 'is broken', 'is here', 'moved to ' + value.on_day(rng)])}"
    return f"{rng.choice(_MESSAGES)} {rng.choice(['and', 'but', 'so'])} {rng.choice(_MESSAGES)}"


def request(rng: random.Random) -> str:
    """Return what somebody is told to do: "tell Ana to ..."."""
    return rng.choice(["pick up bread", "call me", "call me back", "come home", "bring wine", "hurry up", "meet me at the station", "send me the file", "feed the cat", "wait for me", "buy milk", "check the oven"]) if rng.random() < 0.5 else task(rng)


def label(rng: random.Random) -> str:
    """Return what a timer is for, with no article."""
    text = rng.choice(_LABELS) if rng.random() < 0.88 else made_up(rng)
    return text.removeprefix("the ")


def device(rng: random.Random) -> str:
    """Return a device, with its room mostly and no article."""
    roll = rng.random()
    if roll < 0.48:
        return f"{rng.choice(ROOMS)} {rng.choice(THINGS[:60])}"
    if roll < 0.90:
        return rng.choice(THINGS)
    if roll < 0.95:
        return f"{first(rng)}'s {rng.choice(THINGS[:40])}"
    return f"{made_up(rng)} {rng.choice(THINGS[:30])}"


def room_lights(rng: random.Random) -> str:
    """Return "lights in the kitchen"."""
    return f"{rng.choice(['lights', 'light', 'lamp', 'fan', 'tv', 'heater', 'lamps', 'radio', 'ac', 'speaker'])} {rng.choice(['in the', 'in the', 'in my', 'on the'])} {rng.choice(ROOMS)}"


def dimmable(rng: random.Random) -> str:
    """Return a device with a level."""
    roll = rng.random()
    if roll < 0.6:
        return f"{rng.choice(ROOMS)} {rng.choice(DIMMABLE)}"
    if roll < 0.9:
        return rng.choice(DIMMABLE)
    return f"{rng.choice([first(rng) + chr(39) + 's', made_up(rng)])} {rng.choice(DIMMABLE)}"


def app(rng: random.Random) -> str:
    """Return the name of an application."""
    return rng.choice(APPS) if rng.random() < 0.85 else made_up(rng) + rng.choice(["", "", " app", " pro", "ly"])


def known_app(rng: random.Random) -> str:
    """Return the name of an application that everybody knows."""
    return rng.choice(APPS)


def place(rng: random.Random) -> str:
    """Return where to go, with its article."""
    roll = rng.random()
    if roll < 0.6:
        return rng.choice(PLACES)
    if roll < 0.75:
        return rng.choice(CITIES).title()
    if roll < 0.88:
        name = rng.choice([made_up(rng), rng.choice(LAST), rng.choice(FIRST)]).title()
        return f"{rng.randint(1, 400)} {name} {rng.choice(['street', 'road', 'avenue', 'lane', 'drive', 'st', 'rd', 'way', 'square', 'boulevard'])}"
    return rng.choice([f"{first(rng)}'s house", f"{first(rng)}'s place", f"{made_up(rng)} station", f"the {made_up(rng)} hotel", f"the nearest {rng.choice('bakery bank pharmacy hospital cinema supermarket florist barber dentist laundromat'.split())}", f"the closest {rng.choice('bakery bank pharmacy hospital cinema supermarket florist barber dentist park'.split())}", f"{made_up(rng)} park", f"a {rng.choice('thai indian greek mexican turkish vegan chinese lebanese'.split())} restaurant"])  # fmt: skip


def city(rng: random.Random) -> str:
    """Return a city."""
    return (rng.choice(CITIES) if rng.random() < 0.85 else made_up(rng)).title()


def music(rng: random.Random) -> str:
    """Return what to play."""
    roll = rng.random()
    artist = rng.choice(ARTISTS) if rng.random() < 0.85 else f"{made_up(rng)} {made_up(rng)}"
    song = rng.choice(SONGS) if rng.random() < 0.85 else f"{made_up(rng)} {rng.choice(_NOUNS)}"
    if rng.random() < 0.5:
        artist, song = artist.title(), song.capitalize() if rng.random() < 0.5 else song.title()
    if roll < 0.2:
        return artist
    if roll < 0.28:
        return f"{rng.choice(['some', 'some', 'songs by', 'music by', 'something by', 'the best of', 'anything by', 'a song by', 'some songs by'])} {artist}"
    if roll < 0.45:
        return song
    if roll < 0.62:
        return f"{song} {rng.choice(['by', 'by', 'by', 'from'])} {artist}"
    if roll < 0.75:
        return rng.choice(GENRES)
    if roll < 0.85:
        return f"some {rng.choice(GENRES).removeprefix('something ')}"
    if roll < 0.97:
        return rng.choice(SHOWS)
    return rng.choice(["some music", "music", "a song", "some tunes", f"my {made_up(rng)} playlist", f"the {made_up(rng)} album", "the radio", "a podcast"])


def email(rng: random.Random) -> str:
    """Return an address."""
    name, last = rng.choice(FIRST).replace("-", ""), rng.choice(LAST).replace("'", "")
    local = rng.choice([name, f"{name}.{last}", f"{name}{rng.randint(1, 99)}", f"{name[0]}{last}", f"{name}_{last}", made_up(rng), f"{last}.{name}", "info", "support", "hello"])
    domain = rng.choice(_DOMAINS) if rng.random() < 0.6 else f"{made_up(rng)}.{rng.choice(_TLDS)}"
    return f"{local}@{domain}"


def url(rng: random.Random) -> str:
    """Return a web address."""
    host = f"{rng.choice([made_up(rng), 'example', 'shop-' + made_up(rng), 'docs.' + made_up(rng)])}.{rng.choice(_TLDS)}"
    path = rng.choice(["", "", "/" + made_up(rng), f"/order/{rng.randint(10, 9999)}", "/help", f"/a/{made_up(rng)}?id={rng.randint(1, 99)}"])
    return rng.choice(["https://", "https://www.", "http://", "www.", ""]) + host + path


def order_id(rng: random.Random) -> str:
    """Return the number of an order."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(4, 9)))
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.randint(1, 3)))
    return rng.choice([f"#{digits}", f"{letters}-{digits}", f"{letters}{digits}", digits, f"ORD-{digits}", f"{digits[:3]}-{digits[3:]}{rng.randint(10, 99)}", f"#{letters}{digits}", f"{letters}-{digits[:3]}-{rng.randint(10, 99)}"])


def mishmash(rng: random.Random) -> str:
    """Return words of no meaning, which can only be copied."""
    return " ".join(rng.choice([made_up(rng), rng.choice(_NOUNS), rng.choice(FOODS), rng.choice(FIRST), str(rng.randint(1, 99)), rng.choice("the a of and to for is with it my".split())]) for _ in range(rng.randint(1, 6)))


PRAISE = """i love it/loved every minute/best purchase i ever made/absolutely brilliant/the food was delicious/works like a charm/what a wonderful day/couldn't be happier/five stars/exceeded my expectations/so comfortable and light/the staff were lovely/amazing service/fantastic film/highly recommend it/great value for money/my kids adore it/thank you so much this made my day/a real masterpiece/super fast delivery and great quality/we had a great time/it made me smile/this is exactly what i needed/the room was spotless and the view stunning/i'm really impressed/such a beautiful song/the team did an excellent job/can't stop listening to it/everything went smoothly/pleasantly surprised/perfect in every way/the best pizza in town/i would buy this again/he was kind and patient/what a great match""".split("/")
BLAME = """i hate it/worst meal of my life/total waste of money/it broke after two days/the service was terrible/very disappointing/never again/the film was boring/rude staff and cold food/i want my money back/it doesn't work at all/absolutely awful/the hotel was dirty/delivery took three weeks and the box was damaged/the app keeps crashing/poor quality/this is unacceptable/i regret buying this/so slow it is useless/the worst customer support ever/the soup tasted like dishwater/it smells bad and looks cheap/they ignored my emails/such a letdown/i fell asleep halfway through/it gave me a headache/avoid this place/the seats were uncomfortable and the sound was bad/not worth the price/everything went wrong/overpriced rubbish/i am furious/the battery dies in an hour/he was rude to my mother/they lost my luggage""".split("/")
NEUTRAL = """the parcel arrived on tuesday/the meeting is at three/it is a book about trains/the hotel has forty rooms/i received the blue one/the film is two hours long/we ate at six/the shop opens at nine/it comes in a cardboard box/the report has ten pages/it's okay i guess/neither good nor bad/the store is on main street/he works in marketing/it was average/the phone has two cameras/they moved to leeds/the bus stops here/nothing special/it does what it says""".split("/")
URGENT = """the server is down and customers cannot pay/my basement is flooding/please call me back immediately/production is down/i need this today before noon/the baby has a high fever/we are losing data right now/the building is being evacuated/the payment must go out in an hour/there's smoke coming from the kitchen/the deadline is tonight/our site has been hacked/the patient is not breathing/asap please the client is waiting/the gas pipe is leaking/help the car won't start and my flight leaves in two hours/emergency the lift is stuck with people inside/final notice pay today or be disconnected/the alarm won't stop ringing/security breach detected/someone is breaking in/i need an answer right now/critical outage in region two/the dam is about to break/my card was stolen and is being used""".split("/")
CALM = """no rush but could you look at the logo sometime/whenever you have time/just checking in/the newsletter goes out next month/let me know your thoughts when you can/a small typo on page nine/happy to wait until next week/fyi the plants were watered/it would be nice to have a dark mode someday/thanks for the lovely lunch/we might repaint the lobby in spring/please find attached the minutes/no hurry at all/for your information only/i was wondering about the summer picnic/nice to meet you yesterday/here are the photos from the trip/the office will have new chairs next year/reminder the book club meets monthly/take your time/when you get a chance rename the folder/just wanted to say hello""".split("/")


def praise(rng: random.Random) -> str:
    """Return something said with joy."""
    return _said(rng, PRAISE, ["great", "lovely", "wonderful", "amazing", "excellent", "superb", "delightful", "fantastic", "perfect", "charming", "awesome", "brilliant", "really good", "so much fun"])


def blame(rng: random.Random) -> str:
    """Return something said in anger."""
    return _said(rng, BLAME, ["awful", "terrible", "boring", "horrible", "disgusting", "broken", "useless", "a disaster", "dreadful", "painfully slow", "way too loud", "disappointing", "really bad", "a scam"])


def _said(rng: random.Random, whole: list[str], words: list[str]) -> str:
    roll = rng.random()
    if roll < 0.55:
        return rng.choice(whole)
    subject = rng.choice(["the food", "the film", "this phone", "the hotel", "the concert", "my new laptop", "the book", "the service", "the app", "the trip", "the class", "our waiter", "the " + rng.choice(_NOUNS), "the coffee", "the update", "her speech", "the new office"])
    text = f"{subject} {rng.choice(['was', 'is', 'was really', 'is just', 'was absolutely', 'turned out'])} {rng.choice(words)}"
    return text if roll < 0.85 else f"{text}{rng.choice([', ', ' and ', ' '])}{rng.choice(whole)}"


def neutral(rng: random.Random) -> str:
    """Return something said without feeling."""
    return rng.choice(NEUTRAL)


def urgent(rng: random.Random) -> str:
    """Return something that cannot wait."""
    return rng.choice(URGENT) if rng.random() < 0.8 else f"{rng.choice(URGENT)} {rng.choice(['please hurry', 'asap', 'this is urgent', 'now', 'immediately'])}"


def calm(rng: random.Random) -> str:
    """Return something that can wait."""
    return rng.choice(CALM)
