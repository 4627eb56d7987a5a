"""Registered domains of well-known sites whose owners write their pages: a sign of ``url-v3``.

Phishing copies their sign-in pages, and their own pages hold the same words. The list is general
knowledge, chosen independently of any data set: operators of accounts, mail, payment, parcels,
shops, travel, telephony, software and public services. Sites on which anybody can put up a page
(hosting, site builders, shared documents, short links) are not in it; hosts of user content below
a listed domain stand in `USER_CONTENT`.
"""

_ACCOUNTS_AND_MAIL = """
google.com google.co.uk google.de google.fr google.es google.it google.ca google.com.br google.co.in
google.co.jp google.com.au gmail.com youtube.com microsoft.com microsoftonline.com
microsoftonline-p.com live.com outlook.com hotmail.com office.com office365.com office.net msn.com
bing.com windows.com skype.com xbox.com apple.com icloud.com yahoo.com yahoo.co.jp aol.com proton.me
protonmail.com gmx.net gmx.de gmx.com web.de t-online.de freenet.de mail.ru yandex.ru yandex.com
rambler.ru naver.com daum.net kakao.com qq.com 163.com 126.com sina.com.cn weibo.com baidu.com
orange.fr laposte.net free.fr sfr.fr libero.it virgilio.it tiscali.it wp.pl onet.pl o2.pl interia.pl
seznam.cz centrum.cz zoho.com fastmail.com mail.com tutanota.com rediffmail.com terra.com.br
uol.com.br bol.com.br facebook.com instagram.com whatsapp.com messenger.com meta.com twitter.com
x.com linkedin.com tiktok.com snapchat.com pinterest.com reddit.com telegram.org discord.com
signal.org vk.com ok.ru line.me quora.com twitch.tv wikipedia.org wikimedia.org mozilla.org
"""
_SOFTWARE = """
okta.com oktapreview.com auth0.com onelogin.com duosecurity.com pingidentity.com pingone.com
lastpass.com 1password.com bitwarden.com dashlane.com salesforce.com force.com adobe.com
adobelogin.com zoom.us slack.com atlassian.com atlassian.net bitbucket.org github.com gitlab.com
cisco.com webex.com citrix.com vmware.com broadcom.com oracle.com sap.com ibm.com hp.com dell.com
lenovo.com intel.com nvidia.com samsung.com sony.com workday.com myworkday.com myworkdayjobs.com
service-now.com servicenow.com hubspot.com zendesk.com freshdesk.com intuit.com quickbooks.com
turbotax.com xero.com sage.com docusign.com docusign.net hellosign.com dropbox.com box.com
wetransfer.com evernote.com trello.com asana.com monday.com notion.so figma.com miro.com
airtable.com mailchimp.com sendgrid.com twilio.com godaddy.com secureserver.net namecheap.com
name.com gandi.net ovh.com ovhcloud.com ionos.com ionos.de 1and1.com strato.de hetzner.com
hostinger.com bluehost.com hostgator.com cloudflare.com akamai.com fastly.com digitalocean.com
linode.com vultr.com npmjs.com pypi.org docker.com python.org kubernetes.io apache.org debian.org
ubuntu.com canonical.com redhat.com fedoraproject.org kernel.org gnu.org openssl.org jetbrains.com
stackoverflow.com stackexchange.com norton.com mcafee.com kaspersky.com eset.com avast.com
bitdefender.com malwarebytes.com sophos.com crowdstrike.com virustotal.com teamviewer.com
anydesk.com logmein.com gotomeeting.com grammarly.com canva.com coursera.org udemy.com duolingo.com
openai.com chatgpt.com anthropic.com steampowered.com steamcommunity.com epicgames.com ea.com
battle.net blizzard.com riotgames.com roblox.com minecraft.net playstation.com nintendo.com
ubisoft.com rockstargames.com netflix.com spotify.com hulu.com disneyplus.com hbomax.com max.com
deezer.com primevideo.com nytimes.com washingtonpost.com wsj.com bbc.co.uk bbc.com theguardian.com
cnn.com bloomberg.com reuters.com economist.com ft.com spiegel.de zeit.de lemonde.fr elpais.com
"""
_MONEY = """
paypal.com paypal.de venmo.com stripe.com squareup.com cash.app wise.com revolut.com monzo.com
starlingbank.com n26.com klarna.com affirm.com afterpay.com skrill.com neteller.com payoneer.com
westernunion.com moneygram.com zellepay.com visa.com mastercard.com mastercard.us
americanexpress.com discover.com chase.com jpmorgan.com bankofamerica.com bofa.com wellsfargo.com
citi.com citibank.com citibankonline.com usbank.com pnc.com capitalone.com tdbank.com td.com
truist.com regions.com key.com huntington.com citizensbankonline.com citizensbank.com mtb.com
ally.com schwab.com fidelity.com vanguard.com etrade.com robinhood.com usaa.com navyfederal.org
becu.org synchrony.com creditkarma.com experian.com equifax.com transunion.com rbc.com
rbcroyalbank.com scotiabank.com bmo.com cibc.com desjardins.com tangerine.ca interac.ca hsbc.com
hsbc.co.uk barclays.co.uk barclays.com lloydsbank.com lloydsbank.co.uk halifax-online.co.uk
halifax.co.uk bankofscotland.co.uk natwest.com nwolb.com rbs.co.uk santander.co.uk santander.com
santander.com.br santander.es santander.de tsb.co.uk nationwide.co.uk cooperativebank.co.uk
firstdirect.com metrobankonline.co.uk aib.ie bankofireland.com ing.com ing.nl ing.de ing.be
rabobank.nl abnamro.nl snsbank.nl asnbank.nl bunq.com kbc.be belfius.be bnpparibasfortis.be
bnpparibas.com mabanque.bnpparibas societegenerale.fr credit-agricole.fr labanquepostale.fr
caisse-epargne.fr banquepopulaire.fr creditmutuel.fr cic.fr lcl.fr boursorama.com boursobank.com
sparkasse.de commerzbank.de comdirect.de deutsche-bank.de db.com dkb.de postbank.de consorsbank.de
volksbank.de vr.de hypovereinsbank.de targobank.de barclays.de raiffeisen.at raiffeisen.ch
sparkasse.at erstegroup.com bawag.at bankaustria.at ubs.com credit-suisse.com postfinance.ch zkb.ch
swissquote.ch twint.ch swedbank.se swedbank.ee handelsbanken.se seb.se nordea.com nordea.fi
nordea.se danskebank.dk danskebank.com dnb.no sparebank1.no op.fi klarna.se bankid.com
unicredit.it intesasanpaolo.com bancobpm.it poste.it bper.it mps.it nexi.it bbva.es bbva.com
bbva.mx caixabank.es caixabank.com bankinter.com bancosabadell.com ibercaja.es millenniumbcp.pt
cgd.pt novobanco.pt santander.pt mbank.pl pkobp.pl ingbank.pl pekao.com.pl santander.pl csob.cz
kb.cz csas.cz otpbank.hu bcr.ro bancatransilvania.ro akbank.com garantibbva.com.tr isbank.com.tr
ziraatbank.com.tr sberbank.ru vtb.ru tinkoff.ru alfabank.ru privatbank.ua monobank.ua itau.com.br
bradesco.com.br bb.com.br caixa.gov.br nubank.com.br inter.co mercadopago.com mercadopago.com.ar
mercadopago.com.br bancolombia.com banorte.com banamex.com bcp.com.pe viabcp.com interbank.pe
bancoestado.cl bancochile.cl galicia.ar santander.com.ar hdfcbank.com icicibank.com onlinesbi.sbi
sbi.co.in axisbank.com kotak.com pnbindia.in paytm.com phonepe.com dbs.com dbs.com.sg ocbc.com
uob.com.sg maybank2u.com.my maybank.com cimbclicks.com.my bca.co.id klikbca.com bankmandiri.co.id
bni.co.id bri.co.id scb.co.th kasikornbank.com bangkokbank.com vietcombank.com.vn bdo.com.ph
bpi.com.ph smbc.co.jp smbc-card.com mufg.jp mizuhobank.co.jp rakuten-bank.co.jp rakuten-card.co.jp
jcb.co.jp aeon.co.jp saisoncard.co.jp orico.co.jp eposcard.co.jp paypay.ne.jp
kbstar.com shinhan.com wooribank.com boc.cn icbc.com.cn ccb.com abchina.com cmbchina.com alipay.com
hangseng.com standardchartered.com anz.com anz.com.au commbank.com.au westpac.com.au nab.com.au
stgeorge.com.au bankwest.com.au ing.com.au asb.co.nz kiwibank.co.nz bnz.co.nz emiratesnbd.com
absa.co.za fnb.co.za standardbank.co.za nedbank.co.za capitecbank.co.za gtbank.com binance.com
coinbase.com kraken.com kucoin.com okx.com bybit.com crypto.com gemini.com bitfinex.com bitstamp.net
bitpanda.com blockchain.com metamask.io trezor.io ledger.com trustwallet.com phantom.app exodus.com
opensea.io uniswap.org pancakeswap.finance walletconnect.com etherscan.io
"""
_GOODS = """
amazon.com amazon.co.uk amazon.de amazon.fr amazon.it amazon.es amazon.ca amazon.co.jp amazon.com.au
amazon.com.br amazon.com.mx amazon.in amazon.nl amazon.se amazon.pl ebay.com ebay.co.uk ebay.de
ebay.fr ebay.it ebay.com.au alibaba.com aliexpress.com taobao.com tmall.com jd.com walmart.com
target.com bestbuy.com costco.com homedepot.com lowes.com ikea.com zalando.com zalando.de otto.de
mediamarkt.de asos.com hm.com nike.com adidas.com allegro.pl olx.pl vinted.com vinted.fr
leboncoin.fr mercadolibre.com mercadolibre.com.ar mercadolibre.com.mx mercadolivre.com.br
rakuten.co.jp rakuten.com mercari.com shopee.com.br lazada.com flipkart.com etsy.com shopify.com
booking.com airbnb.com expedia.com hotels.com tripadvisor.com uber.com lyft.com lufthansa.com
ryanair.com easyjet.com britishairways.com airfrance.com delta.com united.com aa.com emirates.com
bahn.de sncf-connect.com trainline.com marriott.com hilton.com dhl.com dhl.de dhlparcel.nl fedex.com
ups.com usps.com dpd.com dpd.co.uk dpd.de evri.com myhermes.co.uk hermesworld.com myhermes.de
royalmail.com postoffice.co.uk parcelforce.com laposte.fr chronopost.fr colissimo.fr
mondialrelay.fr correos.es ctt.pt inpost.pl inpost.co.uk poczta-polska.pl gls-group.com gls-group.eu
postnl.nl bpost.be anpost.com post.ch post.at deutschepost.de posti.fi postnord.se postnord.dk
posten.no auspost.com.au nzpost.co.nz canadapost.ca canadapost-postescanada.ca japanpost.jp
kuronekoyamato.co.jp sagawa-exp.co.jp correios.com.br sf-express.com aramex.com singpost.com
verizon.com att.com t-mobile.com xfinity.com comcast.com comcast.net spectrum.net cox.com bt.com
ee.co.uk vodafone.com vodafone.de vodafone.co.uk vodafone.it o2.co.uk o2online.de three.co.uk
telekom.de telekom.com orange.com bouyguestelecom.fr swisscom.ch sunrise.ch proximus.be kpn.com
ziggo.nl tim.it wind.it movistar.es telefonica.com telia.com telenor.no elisa.fi telstra.com
optus.com.au rogers.com bell.ca telus.com docomo.ne.jp au.com softbank.jp claro.com.br vivo.com.br
engie.fr edf.fr eon.de enel.it britishgas.co.uk ticketmaster.com eventbrite.com linktr.ee indeed.com
glassdoor.com monster.com xing.com stepstone.de
"""
_PUBLIC = """
irs.gov ssa.gov usa.gov login.gov id.me uscis.gov medicare.gov healthcare.gov va.gov state.gov
treasury.gov fbi.gov cisa.gov nist.gov nih.gov cdc.gov nasa.gov gov.uk service.gov.uk
hmrc.gov.uk nhs.uk dvla.gov.uk canada.ca gc.ca service-public.fr gouv.fr ameli.fr
caf.fr francetravail.fr bund.de elster.de bundesfinanzministerium.de arbeitsagentur.de digid.nl
belastingdienst.nl overheid.nl belgium.be admin.ch gv.at agid.gov.it
inps.it agenziaentrate.gov.it gob.es seg-social.es portaldasfinancas.gov.pt
skatteverket.se skat.dk borger.dk skatteetaten.no altinn.no suomi.fi vero.fi podatki.gov.pl
europa.eu fazenda.gov.br gob.mx gob.ar my.gov.au ato.gov.au
servicesaustralia.gov.au govt.nz uidai.gov.in nta.go.jp who.int
un.org worldbank.org ieee.org acm.org arxiv.org harvard.edu mit.edu stanford.edu ox.ac.uk cam.ac.uk
"""

KNOWN_SITES = tuple(
    sorted(
        {
            site
            for sites in (_ACCOUNTS_AND_MAIL, _SOFTWARE, _MONEY, _GOODS, _PUBLIC)
            for site in sites.split()
        }
    )
)
# Hosts below known sites where anybody puts up a page, a form, a file or a redirect.
USER_CONTENT = (
    "app.box.com",
    "colab.research.google.com",
    "customervoice.microsoft.com",
    "dl.dropbox.com",
    "docs.google.com",
    "drive.google.com",
    "forms.google.com",
    "forms.office.com",
    "gist.github.com",
    "groups.google.com",
    "l.facebook.com",
    "lm.facebook.com",
    "onedrive.live.com",
    "raw.github.com",
    "script.google.com",
    "sites.google.com",
    "storage.cloud.google.com",
    "sway.office.com",
    "translate.google.com",
)
