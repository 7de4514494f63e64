// App Service authentication of the Function App: nobody gets in whom the platform does not know.

param appName string

@description('linked: callers come through the Static Web App. direct: they bring tokens of Entra.')
@allowed([
  'linked'
  'direct'
])
param shape string

@description('The host name of the linked Static Web App; for linked.')
param siteHostname string

@description('The client id of the app registration that tokens are for; for direct.')
param entraClientId string

@description('The tenant of that registration; for direct.')
param entraTenantId string

@description('Client ids of the programs that may ask for a user; for direct.')
param entraAllowedClientIds array

var providers = shape == 'linked' ? {
  azureStaticWebApps: {
    enabled: true
    registration: {
      clientId: siteHostname
    }
  }
  azureActiveDirectory: {
    enabled: false
  }
} : {
  azureStaticWebApps: {
    enabled: false
  }
  azureActiveDirectory: {
    enabled: true
    registration: {
      clientId: entraClientId
      // Not a secret: the name says that the app's identity vouches for the registration.
      clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
      openIdIssuer: '${environment().authentication.loginEndpoint}${entraTenantId}/v2.0'
    }
    validation: {
      allowedAudiences: [
        entraClientId
        'api://${entraClientId}'
      ]
      defaultAuthorizationPolicy: {
        allowedApplications: entraAllowedClientIds
      }
    }
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: appName
}

resource authentication 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
      runtimeVersion: '~1'
    }
    globalValidation: {
      requireAuthentication: shape == 'linked'
      // direct: a preflight carries no token, so it has to reach the app, whose CORS says what pages
      // may read. Whoever else brings no token the app refuses itself (CHAT_AUTH=easyauth).
      unauthenticatedClientAction: shape == 'linked' ? 'Return401' : 'AllowAnonymous'
      // Says that the app lives, and nothing else: its probe=ready asks who calls, all the same.
      excludedPaths: [
        '/api/health'
      ]
    }
    httpSettings: {
      requireHttps: true
      routes: {
        apiPrefix: '/.auth'
      }
      forwardProxy: {
        convention: 'NoProxy'
      }
    }
    identityProviders: providers
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}
